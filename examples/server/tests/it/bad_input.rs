use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{PATIENCE, Server, TOKEN};
use crate::job::any_hour;

const SETTINGS: [(&str, &str); 1] = [("CALLCORE_API_TOKEN", TOKEN)];
const MEBIBYTE: usize = 1024 * 1024;

async fn draft(server: &Server) -> String {
    let campaign = server.api().post("/api/campaigns", &any_hour("Bad input", 1)).await;
    campaign["id"].as_str().unwrap().to_owned()
}

/// What a problem document, or a report that failed, says.
fn words(answer: &Value) -> String {
    answer.to_string().to_lowercase()
}

#[tokio::test]
async fn a_file_that_is_no_list_is_answered_with_what_is_wrong_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &SETTINGS);
    let (api, id) = (server.api(), draft(&server).await);
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\0".repeat(100);
    let cases: [(&str, Vec<u8>); 4] = [
        ("phone", b"Name,City\nAda,Rome\n".to_vec()),
        ("empty", Vec::new()),
        ("picture", png),
        ("binary", b"phone,na\0me\n2125550123,Ada\n".to_vec()),
    ];
    for (word, file) in cases {
        let (status, answer) = api.upload(&id, file).await;
        assert!(status.is_client_error(), "{status} {answer}");
        assert!(words(&answer).contains(word), "{word}: {answer}");
    }
    // A NUL further down costs its row, not the file.
    let report =
        api.imported(&id, b"phone,name\n2125550123,A\0da\n2125550124,Bob\n".to_vec()).await;
    assert_eq!(report["accepted"], 1, "{report}");
    assert_eq!(report["rejected_by_code"], json!({"nul_character": 1}), "{report}");
    assert_eq!(api.get(&format!("/api/campaigns/{id}")).await["clients"], 1);
}

#[tokio::test]
async fn a_line_of_200_mb_is_refused_and_costs_no_memory() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &SETTINGS);
    let id = draft(&server).await;
    let before = server.memory("VmRSS:");
    let answer = upload_long_line(&server, &id, 200).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert!(answer.to_lowercase().contains("longer than"), "{answer}");
    let grown = server.memory("VmHWM:").saturating_sub(before);
    assert!(grown < 64 * MEBIBYTE as u64, "the server grew by {grown} bytes");
    assert_eq!(server.api().get(&format!("/api/campaigns/{id}")).await["clients"], 0);
}

#[tokio::test]
async fn settings_that_can_not_work_are_refused_by_field() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &SETTINGS);
    let refused = |settings: Value| {
        let (client, url) = (crate::harness::client(), format!("{}/api/campaigns", server.url()));
        async move {
            let request = client.post(url).bearer_auth(TOKEN).json(&settings);
            let answer = request.send().await.unwrap();
            assert!(answer.status().is_client_error(), "{settings}");
            let problem: Value = answer.json().await.unwrap();
            problem["errors"][0]["field"].as_str().unwrap().to_owned()
        }
    };
    let day = json!([["09:00", "17:00"]]);
    assert_eq!(refused(json!({"name": "No hours"})).await, "hours");
    assert_eq!(refused(json!({"name": "Shut", "hours": {}})).await, "hours");
    let gone = json!({"name": "Gone", "hours": {"mon": day}, "end_on": "2020-01-01"});
    assert_eq!(refused(gone).await, "hours");
    let often = json!({"name": "Often", "hours": {"mon": day}, "retry": {"max_attempts": 10_000}});
    assert_eq!(refused(often).await, "retry.max_attempts");
}

/// Sends a list whose second line never ends, as fast as the server takes it, and returns the
/// answer.
async fn upload_long_line(server: &Server, campaign: &str, mebibytes: usize) -> String {
    let address = server.url().strip_prefix("http://").unwrap();
    let head = "--part\r\ncontent-disposition: form-data; name=\"file\"; filename=\"long.csv\"\r\n\
                content-type: text/csv\r\n\r\nphone,name\n2125550123,";
    let tail = "\r\n--part--\r\n";
    let length = head.len() + mebibytes * MEBIBYTE + tail.len();
    let request = format!(
        "POST /api/campaigns/{campaign}/import HTTP/1.1\r\nhost: {address}\r\n\
         authorization: Bearer {TOKEN}\r\nconnection: close\r\n\
         content-type: multipart/form-data; boundary=part\r\ncontent-length: {length}\r\n\r\n{head}"
    );
    let (mut read, mut write) = TcpStream::connect(address).await.unwrap().into_split();
    // A server that has seen enough may answer and hang up before it was told all.
    let writing = tokio::spawn(async move {
        write.write_all(request.as_bytes()).await?;
        let filler = vec![b'x'; MEBIBYTE];
        for _ in 0..mebibytes {
            write.write_all(&filler).await?;
        }
        write.write_all(tail.as_bytes()).await?;
        Ok::<_, std::io::Error>(write)
    });
    let mut answer = Vec::new();
    let reading = tokio::time::timeout(PATIENCE, read.read_to_end(&mut answer)).await;
    drop(reading.unwrap());
    drop(tokio::time::timeout(Duration::from_secs(1), writing).await);
    String::from_utf8_lossy(&answer).into_owned()
}

//! Answers HTTP, but not to those who keep a connection and send nothing on it.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;
use tower_http::timeout::TimeoutBody;

/// How long a client may keep the server waiting. An answer may take as long as it likes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For the head of a request, from the end of the one before.
    pub(crate) head: Duration,
    /// For the next piece of a body.
    pub(crate) body: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { head: Duration::from_secs(30), body: Duration::from_secs(30) }
    }
}

/// Answers until `stop`, then lets the requests under way end.
pub(crate) async fn serve(
    mut listener: TcpListener,
    router: Router,
    patience: Patience,
    stop: CancellationToken,
) {
    let connections = TaskTracker::new();
    loop {
        let (stream, from) = tokio::select! {
            accepted = Listener::accept(&mut listener) => accepted,
            () = stop.cancelled() => break,
        };
        connections.spawn(talk(stream, from, router.clone(), patience, stop.clone()));
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn talk(
    stream: TcpStream,
    from: SocketAddr,
    router: Router,
    patience: Patience,
    stop: CancellationToken,
) {
    // Small answers must not wait for each other; without it they are only slower.
    drop(stream.set_nodelay(true));
    let service = service_fn(|request| answer(router.clone(), from, patience, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}

fn answer(
    mut router: Router,
    from: SocketAddr,
    patience: Patience,
    request: hyper::Request<Incoming>,
) -> impl Future<Output = Result<axum::response::Response, std::convert::Infallible>> {
    let mut request = request.map(|body| Body::new(TimeoutBody::new(patience.body, body)));
    // Passwords are guessed from somewhere: the router asks from where.
    request.extensions_mut().insert(ConnectInfo(from));
    router.call(request)
}

#[cfg(test)]
mod tests {
    use axum::extract::Request;
    use axum::http::StatusCode;
    use axum::routing::{any, get};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn read(request: Request) -> StatusCode {
        match axum::body::to_bytes(request.into_body(), 1_000).await {
            Ok(_) => StatusCode::OK,
            Err(_) => StatusCode::BAD_REQUEST,
        }
    }

    async fn slow(ConnectInfo(_): ConnectInfo<SocketAddr>) -> &'static str {
        tokio::time::sleep(Duration::from_millis(300)).await;
        "at last"
    }

    struct Served {
        address: SocketAddr,
        stop: CancellationToken,
        ended: tokio::task::JoinHandle<()>,
    }

    async fn served() -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/read", any(read)).route("/slow", get(slow));
        let stop = CancellationToken::new();
        let piece = Duration::from_millis(100);
        let patience = Patience { head: piece, body: piece };
        let ended = tokio::spawn(serve(listener, router, patience, stop.clone()));
        Served { address, stop, ended }
    }

    async fn sent(address: SocketAddr, bytes: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream
    }

    /// All that comes until the server closes the connection.
    async fn rest(mut stream: TcpStream) -> String {
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn whoever_sends_nothing_more_loses_the_connection() {
        let Served { address, .. } = served().await;
        for head in ["", "GET /slow HTTP/1.1\r\nHost: x\r\nX-Slow: "] {
            let answer = rest(sent(address, head).await).await;
            assert!(!answer.contains("200"), "{head:?}: {answer}");
        }
        let half = "POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc";
        let answer = rest(sent(address, half).await).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }

    #[tokio::test]
    async fn an_answer_that_takes_long_comes_and_a_stop_waits_for_it() {
        let Served { address, stop, ended } = served().await;
        let stream = sent(address, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        stop.cancel();
        let answer = rest(stream).await;
        assert!(answer.ends_with("at last"), "{answer}");
        ended.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    }
}

//! The audio that scripts play.

use serde_json::{Value, json};

use crate::audio::AudioFormat;
use crate::campaign::Transition;
use crate::id::{AudioId, CampaignId};
use crate::port::{AuditQuery, By, NewAudio, NewCampaign, Refused, Store};
use crate::testing::fixtures::{Scene, person, refused, settings};

async fn uploaded(scene: &Scene<'_>, name: &str, bytes: Vec<u8>) -> AudioId {
    let id = AudioId::new(scene.now(), scene.entropy());
    let new = NewAudio { id, name: name.to_owned(), format: AudioFormat::Mp3, bytes };
    let admin = person();
    scene.store.add_audio(By::new(&admin, scene.now()), new).await.expect("kept").id
}

fn playing(audio: AudioId) -> Value {
    json!({"script": {"steps": [{"say": "Hi."}, {"play": audio}]}})
}

pub async fn p1_an_audio_keeps_its_bytes_and_the_newest_comes_first(store: &dyn Store) {
    let scene = Scene::new(store);
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let mut ids = Vec::new();
    for index in 0..5_u8 {
        ids.push(
            uploaded(&scene, &format!("Audio {index}"), [&[index], &bytes[..]].concat()).await,
        );
        scene.advance(chrono::TimeDelta::seconds(1));
    }
    let read = store.audio_bytes(ids[3]).await.expect("read").expect("it is there");
    assert_eq!((read[0], &read[1..]), (3, &bytes[..]));
    let audio = store.audio(ids[3]).await.expect("read").expect("it is there");
    assert_eq!((&*audio.name, audio.format, audio.size), ("Audio 3", AudioFormat::Mp3, 100_001));
    assert_eq!(audio.created_by, person());
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.audios(after, 2).await.expect("read");
        seen.extend(page.items.into_iter().map(|audio| audio.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    ids.reverse();
    assert_eq!(seen, ids);
    let nowhere = AudioId::new(scene.now(), scene.entropy());
    assert_eq!(store.audio(nowhere).await.expect("read"), None);
    assert_eq!(store.audio_bytes(nowhere).await.expect("read"), None);
    let audit =
        store.audit(&AuditQuery { limit: 10, ..AuditQuery::default() }).await.expect("read").items;
    assert!(audit.iter().all(|row| row.action == "audio.add") && audit.len() == 5);
}

pub async fn p2_an_audio_stays_while_a_campaign_that_is_not_over_plays_it(store: &dyn Store) {
    let scene = Scene::new(store);
    let audio = uploaded(&scene, "Offer", vec![1]).await;
    let (campaign, _) = scene.running(playing(audio), 1).await;
    let remove = async || store.remove_audio(scene.by(), audio).await;
    assert_eq!(refused(remove().await), Refused::AudioInUse(campaign));
    scene.change(campaign, Transition::Stop).await;
    let draft = scene.draft(json!({"inbound": {"steps": [{"play": audio}]}})).await;
    assert_eq!(refused(remove().await), Refused::AudioInUse(draft));
    let silent = store.change_settings(scene.by(), draft, 1, settings(&Value::Null)).await;
    silent.expect("changed");
    remove().await.expect("nobody plays it");
    assert_eq!(store.audio(audio).await.expect("read"), None);
    assert_eq!(refused(remove().await), Refused::NotFound);
}

pub async fn p3_settings_that_play_what_is_not_there_are_refused(store: &dyn Store) {
    let scene = Scene::new(store);
    let nowhere = AudioId::new(scene.now(), scene.entropy());
    let id = CampaignId::new(scene.now(), scene.entropy());
    let new = NewCampaign { id, settings: settings(&playing(nowhere)) };
    let created = store.create_campaign(scene.by(), new).await;
    assert_eq!(refused(created), Refused::UnknownAudio(nowhere));
    assert_eq!(store.campaign(id).await.expect("read"), None);
    let draft = scene.draft(Value::Null).await;
    let changed = store.change_settings(scene.by(), draft, 1, settings(&playing(nowhere))).await;
    assert_eq!(refused(changed), Refused::UnknownAudio(nowhere));
    assert_eq!(scene.campaign(draft).await.campaign.settings_version, 1);
}

pub async fn p1_the_audio_of_a_script_comes_with_the_facts_as_far_as_it_is_there(
    store: &dyn Store,
) {
    let scene = Scene::new(store);
    let audio = uploaded(&scene, "Offer", vec![1]).await;
    let (_, seed) = scene.running_one(playing(audio)).await;
    let facts = store.facts(seed.call).await.expect("read").expect("it waits");
    assert_eq!(facts.audio, [(audio, "Offer".to_owned())]);
    assert_eq!(scene.claim(1).await[0].audio, facts.audio);
}

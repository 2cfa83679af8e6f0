//! What holds for every page.

use serde_json::Value;

use crate::browser::Browser;
use crate::sights::{Sight, Tour};

/// The largest page, in bytes.
const LARGEST_PAGE: usize = 100_000;
/// The largest script, in bytes.
const LARGEST_SCRIPT: usize = 15_000;
const WIDTHS: [u32; 4] = [360, 390, 1280, 2560];

#[tokio::test]
#[ignore = "needs Chromium and its driver"]
async fn empty_pages_have_manners() {
    let directory = tempfile::tempdir().unwrap();
    check(&Tour::empty(directory.path()).await).await;
}

#[tokio::test]
#[ignore = "needs Chromium and its driver"]
async fn full_pages_have_manners() {
    let directory = tempfile::tempdir().unwrap();
    check(&Tour::full(directory.path()).await).await;
}

/// Looks at every page and complains of all at once.
async fn check(tour: &Tour) {
    let axe = std::env::var("CALLCORE_TEST_AXE").expect("the path that scripts/axe prints");
    let axe = std::fs::read_to_string(axe).unwrap();
    let mut complaints = Vec::new();
    for sight in &tour.sights {
        complaints.extend(widths(&tour.browser, sight).await);
        for theme in ["light", "dark"] {
            complaints.extend(accessible(&tour.browser, sight, theme, &axe).await);
        }
        complaints.extend(small_and_plain(&tour.browser, sight).await);
    }
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

/// On no screen is the page wider than it.
async fn widths(browser: &Browser, sight: &Sight) -> Vec<String> {
    let mut complaints = Vec::new();
    for width in WIDTHS {
        browser.screen(width, 800, "light").await;
        browser.goto(&sight.path).await;
        let wide = browser.ask("return document.documentElement.scrollWidth").await;
        if wide.as_u64() > Some(u64::from(width)) {
            complaints.push(format!("{}: {wide} px wide on a screen of {width} px", sight.name));
        }
    }
    complaints
}

async fn accessible(browser: &Browser, sight: &Sight, theme: &str, axe: &str) -> Vec<String> {
    browser.screen(1280, 900, theme).await;
    browser.goto(&sight.path).await;
    browser.ask(axe).await;
    let run = "const done = arguments[0];
        axe.run({resultTypes: ['violations']}).then(it => done(it.violations.map(found =>
            found.id + ': ' + found.help + found.nodes.map(node =>
                '\\n    ' + node.html.slice(0, 200) + '\\n    ' + node.failureSummary))
        ), error => done([String(error)]))";
    let found = browser.page.execute_async(run, Vec::new()).await.unwrap();
    let found = found.as_array().cloned().unwrap_or_else(|| vec![Value::from("axe said nothing")]);
    let told = |it: &Value| it.as_str().map_or_else(|| it.to_string(), str::to_owned);
    found.iter().map(|it| format!("{}, {theme}: {}", sight.name, told(it))).collect()
}

/// Neither page nor script is large, and the page has no script or style in itself.
async fn small_and_plain(browser: &Browser, sight: &Sight) -> Vec<String> {
    let sizes = "const done = arguments[0];
        const size = path => fetch(path).then(it => it.arrayBuffer()).then(it => it.byteLength);
        Promise.all([size(location.href), size(document.scripts[0].src)]).then(done, done)";
    let sizes = browser.page.execute_async(sizes, Vec::new()).await.unwrap();
    let size = |index: usize| usize::try_from(sizes[index].as_u64().unwrap()).unwrap();
    let within = browser
        .ask(
            "return document.querySelectorAll('style, [style], script:not([src])').length
                + [...document.querySelectorAll('*')].flatMap(it => [...it.attributes])
                    .filter(it => it.name.startsWith('on')).length",
        )
        .await;
    let mut complaints = Vec::new();
    if size(0) >= LARGEST_PAGE || size(1) >= LARGEST_SCRIPT {
        complaints.push(format!("{}: {} bytes, script {}", sight.name, size(0), size(1)));
    }
    if within != 0 {
        complaints.push(format!("{}: script or style within the page", sight.name));
    }
    complaints
}

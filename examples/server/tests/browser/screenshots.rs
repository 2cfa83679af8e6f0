//! Pictures of every page, for people to look at.

use std::path::Path;

use crate::sights::Tour;

const WIDTHS: [u32; 2] = [390, 1280];
/// The highest picture, in pixels.
const HIGHEST: u64 = 6_000;

#[tokio::test]
#[ignore = "makes pictures and shows no property: scripts/screenshots runs it"]
async fn screenshots() {
    let folder = std::env::var("CALLCORE_SCREENSHOTS").expect("a folder");
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder).unwrap();
    let (empty, full) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    photograph(&Tour::empty(empty.path()).await, folder).await;
    photograph(&Tour::full(full.path()).await, folder).await;
}

async fn photograph(tour: &Tour, folder: &Path) {
    let wanted = std::env::var("CALLCORE_SCREENSHOTS_OF").unwrap_or_default();
    for sight in tour.sights.iter().filter(|it| it.name.contains(&wanted)) {
        for theme in ["light", "dark"] {
            for width in WIDTHS {
                // A page is as high as its content only once it has its width.
                tour.browser.screen(width, 800, theme).await;
                tour.browser.goto(&sight.path).await;
                let height = tour.browser.ask("return document.documentElement.scrollHeight").await;
                let height = height.as_u64().unwrap().clamp(600, HIGHEST);
                tour.browser.screen(width, u32::try_from(height).unwrap(), theme).await;
                let picture = tour.browser.page.screenshot().await.unwrap();
                let file = format!("{}-{theme}-{width}.png", sight.name);
                std::fs::write(folder.join(file), picture).unwrap();
            }
        }
    }
}

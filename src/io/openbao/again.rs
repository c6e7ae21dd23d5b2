//! One more try, where a problem says that it can help.

use std::time::Duration;

use super::Problem;

/// What is asked, with one more try where the problem says that it can help.
pub(super) async fn with_one_more_try<T, A: Future<Output = Result<T, Problem>>>(ask: impl Fn() -> A) -> Result<T, Problem> {
    match ask().await {
        Err(Problem { again: Some(wait), .. }) => {
            pause(wait).await;
            ask().await
        }
        other => other,
    }
}

/// Waits before a second try: as long as the problem asks, and up to half of that more, so that many hosts do not come back at once.
pub async fn pause(wait: Duration) {
    let mut byte = [0_u8; 1];
    // Without randomness the wait is merely less spread.
    aws_lc_rs::rand::fill(&mut byte).ok();
    let spread = wait.max(Duration::from_millis(500)) / 2;
    tokio::time::sleep(wait + spread * u32::from(byte[0]) / 255).await;
}

//! The way of simulated voice agents: they report over HTTP with their calls' own tokens, as real
//! ones do.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use callcore::runtime::ResultSink;
use callcore::sim::AgentPost;
use reqwest::{Client, StatusCode};

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends results to the server.
pub(crate) struct HttpAgents {
    client: Client,
    server_url: String,
}

impl fmt::Debug for HttpAgents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpAgents").field("server_url", &self.server_url).finish_non_exhaustive()
    }
}

impl HttpAgents {
    /// Agents that report to the server at `server_url`.
    ///
    /// # Errors
    ///
    /// No HTTP client can be made.
    pub(crate) fn new(server_url: &str) -> Result<Self, reqwest::Error> {
        let client = crate::http_client::plain().timeout(PATIENCE).no_proxy().build()?;
        Ok(Self { client, server_url: server_url.trim_end_matches('/').to_owned() })
    }
}

#[async_trait]
impl ResultSink for HttpAgents {
    async fn send(&self, post: &AgentPost) -> bool {
        let Some(token) = &post.token else { return true };
        let url = format!("{}/api/calls/{}/result", self.server_url, post.call);
        let sent = self.client.post(url).bearer_auth(token).json(&post.result).send().await;
        match sent {
            Ok(response) if response.status().is_success() => true,
            // Asking again would change nothing.
            Ok(response) if response.status().is_client_error() => {
                let status = response.status();
                tracing::warn!(call = %post.call, %status, "an agent's result was refused");
                status != StatusCode::TOO_MANY_REQUESTS
            }
            Ok(_) => false,
            Err(error) => {
                tracing::debug!(error = %error.without_url(), "the server is away");
                false
            }
        }
    }
}

//! HTTP clients: the one place that says whose TLS they use and that they follow no redirects.

use reqwest::{Certificate, Client, ClientBuilder, redirect};

/// A client for addresses that begin with `http://`: it needs no certificates, which a small
/// machine may not have.
pub(crate) fn plain() -> ClientBuilder {
    encrypted().tls_certs_only(Vec::<Certificate>::new())
}

/// A client that trusts the certificates this machine trusts.
pub(crate) fn encrypted() -> ClientBuilder {
    ready();
    Client::builder().redirect(redirect::Policy::none())
}

/// Says whose TLS clients use that others build.
pub(crate) fn ready() {
    // Whoever comes second finds the same one there.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// Somebody else's client, for addresses that are `plain` or not.
pub(crate) fn shaped(builder: ClientBuilder, plain: bool) -> ClientBuilder {
    if plain { builder.tls_certs_only(Vec::<Certificate>::new()) } else { builder }
}

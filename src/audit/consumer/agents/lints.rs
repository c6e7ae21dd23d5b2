//! What can be wrong in the configuration of an agent that renders certificates.

use crate::judge::lint::catalogue;

catalogue! {
    TWO_CALLS = "agent.two-calls", High, open, "certificate and key come from two issuances: they never belong together",
        "render both from one template with pkiCert, writing the key with writeToFile; better: make the key on the host and have a request signed";
    TOGETHER = "agent.two-templates", Low, open, "certificate and key are written by two templates, one after the other",
        "render both from one template, so that no reader finds the one without the other";
    TLS_OFF = "agent.tls-off", High, open, "the agent does not check whom it fetches certificates and tokens from", "remove the switch and name the root in ca_cert";
    PLAIN = "agent.plain-http", High, open, "certificates, keys and tokens are fetched over plain HTTP", "write https:// and name the root in ca_cert";
    TOKEN = "agent.token", High, open, "a token in clear in the configuration of an agent", "revoke it, and log in by auto_auth (cert, approle with a file, jwt)";
    KEY_MODE = "agent.key-mode", Medium, open, "a private key is rendered with the mode 0644 that templates have by default", "set perms = \"0600\" on the template, or \"0640\" with the group of the service";
    NO_RELOAD = "agent.no-reload", Medium, open, "a certificate is rendered and nothing tells its service: it serves the old one until it is restarted", "set command (or exec) on the template to the reload of the service";
    SOURCE = "agent.source-absent", High, open, "the source of a template does not exist: the agent does not start", "create the file, or correct the path";
    SERVER_KEY = "agent.server-key", Low, open, "the private key is made by the server and sent over the network", "make the key on this host and have a request signed through the role's sign path";
    METHOD = "agent.method-unknown", High, open, "a way to log in that the agent does not know: it does not start", "log in by a method of OpenBao's agent, as cert, approle or jwt";
}

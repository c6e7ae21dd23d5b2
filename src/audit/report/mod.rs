//! A document as text, HTML, SARIF, JUnit and Prometheus.

//! Pure judgement of certificates and answers: one engine for `renew` and the reports. No file, no clock, no network.

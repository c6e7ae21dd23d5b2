//! What is there (`inventory`) and what to do about it: pure, serialisable, with ordered reasons. No network, no TPM, no writing.

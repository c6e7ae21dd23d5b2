//! What the linker is told about the released binary: where the functions that are used most go, and in which form relocations are
//! kept. Neither changes what the binary does; PIE, RELRO and immediate binding stay as they are.
#![expect(clippy::disallowed_methods, reason = "a build script is told by its environment what is built")]

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=packaging/build.rs");
    println!("cargo::rerun-if-changed=packaging/order.ld");
    println!("cargo::rerun-if-env-changed=OMENS_UNORDERED");
    let target = |key: &str| var(format!("CARGO_CFG_TARGET_{key}")).unwrap_or_default();
    let is_released = var("PROFILE").is_ok_and(|profile| profile == "release");
    if !is_released || target("OS") != "linux" || target("ENV") != "gnu" {
        return;
    }
    // Of 8 MB of text such a run uses 1 MB, which lies all over it, and the kernel maps what is around each function too.
    // `./run bench order` finds out which they are from a binary without that order: valgrind knows no functions but those of .text.
    let here = var("CARGO_MANIFEST_DIR").unwrap_or_default();
    if var("OMENS_UNORDERED").is_err() {
        println!("cargo::rustc-link-arg-bin=omens=-Wl,-T,{here}/packaging/order.ld");
    }
    // 20,000 relocations in 6 KB instead of 500 (DT_RELR of the ELF gABI). The dynamic linker has to know the form: glibc 2.36, Debian 12.
    println!("cargo::rustc-link-arg-bin=omens=-Wl,-z,pack-relative-relocs");
}

//! What the linker is told: when libtss2 is loaded, and of the released binary, where the functions that are used most go and in which
//! form relocations are kept. None changes what the binary does; PIE, RELRO and immediate binding stay as they are.
#![expect(clippy::disallowed_methods, reason = "a build script is told by its environment what is built")]

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=packaging/build.rs");
    println!("cargo::rerun-if-changed=packaging/order.ld");
    println!("cargo::rerun-if-env-changed=OMENS_UNORDERED");
    let target = |key: &str| var(format!("CARGO_CFG_TARGET_{key}")).unwrap_or_default();
    if target("OS") != "linux" || target("ENV") != "gnu" {
        return;
    }
    if matches!(target("ARCH").as_str(), "x86_64" | "aarch64") {
        load_tss2_late();
    }
    if var("PROFILE").is_ok_and(|profile| profile == "release") {
        arrange();
    }
}

/// Where it is not for this processor, libtss2 is loaded at the start.
fn load_tss2_late() {
    println!("cargo::rerun-if-changed=packaging/tss2.c");
    // From the archive of the library, which comes before libtss2, and whole: nothing has asked for it yet when the linker passes by.
    println!("cargo::rustc-link-lib=static:+whole-archive=omens_tss2");
    let headers = pkg_config::Config::new().cargo_metadata(false).probe("tss2-mu").map(|found| found.include_paths).unwrap_or_default();
    cc::Build::new().file("packaging/tss2.c").includes(headers).cargo_metadata(false).compile("omens_tss2");
    println!("cargo::rustc-link-search=native={}", var("OUT_DIR").unwrap_or_default());
}

fn arrange() {
    // Of 8 MB of text such a run uses 1 MB, which lies all over it, and the kernel maps what is around each function too.
    // `./run bench order` finds out which they are from a binary without that order: valgrind knows no functions but those of .text.
    let here = var("CARGO_MANIFEST_DIR").unwrap_or_default();
    if var("OMENS_UNORDERED").is_err() {
        println!("cargo::rustc-link-arg-bin=omens=-Wl,-T,{here}/packaging/order.ld");
    }
    // 20,000 relocations in 6 KB instead of 500 (DT_RELR of the ELF gABI). The dynamic linker has to know the form: glibc 2.36, Debian 12.
    println!("cargo::rustc-link-arg-bin=omens=-Wl,-z,pack-relative-relocs");
}

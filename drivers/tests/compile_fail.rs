// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the types forbid: none of these programs compiles.

#[test]
#[cfg_attr(miri, ignore = "runs the compiler")]
fn what_the_types_forbid_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile-fail/*.rs");
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What safe code can't have: the files in `compile-fail/` must not compile.

#[test]
fn safe_code_has_no_way_to_the_seam() {
    trybuild::TestCases::new().compile_fail("tests/compile-fail/*.rs");
}

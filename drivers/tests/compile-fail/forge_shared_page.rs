//! That a shared page stays mapped is a promise.

use drivers::SharedPage;
use fake_xen::FakeXen;
use xen_sys::xen::SharedInfo;

fn making_a_shared_page_without_unsafe_does_not_compile(xen: FakeXen, page: &SharedInfo) {
    let _page = SharedPage::new(xen, page);
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0

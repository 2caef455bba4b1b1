//! Pages that Xen would not unmap: they stay mapped, in a list through their slots, and are tried again.

use super::{State, Table};
use crate::memory::Platform;

/// No index.
pub(super) const NONE: u32 = u32::MAX;

impl<X: Platform> Table<X> {
    /// Keeps an index for another try.
    pub(super) fn set_stuck(&mut self, index: u32, state: State) {
        let slot = &mut self.slots[index as usize];
        (slot.state, slot.start) = (state, core::mem::replace(&mut self.first_stuck, index));
        self.usage.stuck += 1;
    }

    /// Tries again to unmap what Xen would not.
    pub(crate) fn retry_stuck(&mut self) {
        let mut next = core::mem::replace(&mut self.first_stuck, NONE);
        while next != NONE {
            let index = next;
            let slot = self.slots[index as usize];
            next = slot.start;
            self.usage.stuck -= 1;
            if self.window.unmap(index..index + 1).is_err() {
                self.set_stuck(index, slot.state);
                continue;
            }
            self.slots[index as usize].state = State::Reserved;
            if slot.state == State::StuckOrphan {
                self.free_slot(index);
            }
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks the HVM parameters of a ring, a guest frame and a port, before they are trusted.

use drivers::{Errno, PortNumber};

/// No builder assigns frames or ports from here on.
const NO_FRAME: u64 = 1 << 36;
const NO_PORT: u64 = 4096;

/// The guest frame and the port of a ring, from Xen's answers for the two parameters.
///
/// # Errors
/// ENODEV if there is no ring; Xen's if it doesn't know the parameters.
pub fn ring(
    frame: Result<u64, Errno>,
    port: Result<u64, Errno>,
) -> Result<(u64, PortNumber), Errno> {
    let (frame, port) = (frame?, port?);
    if frame == 0 || frame >= NO_FRAME || port == 0 || port >= NO_PORT {
        return Err(Errno::ENODEV);
    }
    Ok((frame, PortNumber(port as u32)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_has_a_frame_and_a_port_that_can_be() {
        assert_eq!(ring(Ok(0xf_effc), Ok(2)), Ok((0xf_effc, PortNumber(2))));
        assert_eq!(ring(Ok((1 << 36) - 1), Ok(4095)), Ok(((1 << 36) - 1, PortNumber(4095))));
        for (frame, port) in [(0, 2), (0xf_effc, 0), (1 << 36, 2), (u64::MAX, 2), (1, 4096)] {
            assert_eq!(ring(Ok(frame), Ok(port)), Err(Errno::ENODEV), "{frame:#x} {port}");
        }
        // The low half of this one would be a valid port.
        assert_eq!(ring(Ok(1), Ok(1 << 32 | 2)), Err(Errno::ENODEV));
    }

    #[test]
    fn what_a_xen_says_that_lacks_a_parameter_is_handed_on() {
        for errno in [Errno::EINVAL, Errno::ENOSYS] {
            assert_eq!(ring(Err(errno), Ok(2)), Err(errno));
            assert_eq!(ring(Ok(1), Err(errno)), Err(errno));
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two macros behind rules 7 and 8 of the crate.

/// Asserts a struct's size, the offset of every field, and that no byte lies between fields.
macro_rules! layout {
    ($type:ty: $size:literal { $($field:ident: $offset:literal),+ $(,)? }) => {
        const _: () = {
            assert!(size_of::<$type>() == $size);
            $(assert!(core::mem::offset_of!($type, $field) == $offset);)+
            // A missing field or implicit padding makes the sum too small.
            assert!(0 $(+ $crate::macros::size_of_field(|it: &$type| &it.$field))+ == $size);
        };
    };
}

/// Declares a C enum as a newtype with associated constants; `Debug` prints the constant's name.
macro_rules! c_enum {
    (
        $(#[$meta:meta])*
        pub struct $name:ident($int:ty) {
            $($(#[$const_meta:meta])* $constant:ident = $value:literal,)+
        }
    ) => {
        $(#[$meta])*
        #[repr(transparent)]
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(pub $int);

        impl $name {
            $($(#[$const_meta])* pub const $constant: Self = Self($value);)+
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match *self {
                    $(Self::$constant => f.write_str(stringify!($constant)),)+
                    Self(unknown) => f.debug_tuple(stringify!($name)).field(&unknown).finish(),
                }
            }
        }
    };
}

/// Returns the size of the field that the projection selects.
pub(crate) const fn size_of_field<T, F>(_: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

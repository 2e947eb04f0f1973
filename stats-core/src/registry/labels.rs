//! Label sets: what a type must say to be one, and the macros that say it.
//!
//! Not here: the text in which a series keeps its labels, which is in `encoded`.

use alloc::borrow::{Cow, ToOwned};
use alloc::boxed::Box;
use alloc::string::String;
use core::hash::Hasher;

use super::number::Digits;

/// A set of labels with the same names for all its values: what a [`Family`](super::Family) finds its
/// series by. [`label_set!`](crate::label_set) implements it for a struct.
pub trait LabelSet {
    /// The labels' names, in the order of their values.
    const NAMES: &'static [&'static str];
    /// The type that stands for all of these sets, whatever their lifetime: what the family is declared
    /// with. For a struct without a lifetime, itself.
    type Family: 'static;
    /// Shows each value, in the order of the names.
    fn each_value(&self, visitor: &mut impl Visitor);
}

/// Looks at the values of a label set, one after the other.
pub trait Visitor {
    /// Looks at the next value.
    fn value(&mut self, value: &(impl LabelValue + ?Sized));
}

/// The set without labels.
impl LabelSet for () {
    const NAMES: &'static [&'static str] = &[];
    type Family = Self;
    fn each_value(&self, _: &mut impl Visitor) {}
}

/// Stands for label sets whose names are chosen when they are used: `&[("code", "200")]`.
///
/// A family of these checks the names of each new series, which is why its `get_or_create` can fail.
/// The order of the labels makes no difference.
#[derive(Clone, Copy, Debug)]
pub enum Dynamic {}

/// A type that can be a label's value. [`label_value!`](crate::label_value) implements it for an enum.
pub trait LabelValue {
    /// Calls `read` with the value as text.
    fn with_text<R>(&self, read: impl FnOnce(&str) -> R) -> R;

    /// Hashes the value: alike for values of one type whose texts are alike.
    #[inline]
    fn hash_into(&self, state: &mut impl Hasher) {
        self.with_text(|text| state.write(text.as_bytes()));
    }

    /// What of a text stands behind this value, where the text begins with it.
    #[inline]
    fn strip_from<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
        self.with_text(|value| text.strip_prefix(value.as_bytes()))
    }
}

impl LabelValue for str {
    #[inline]
    fn with_text<R>(&self, read: impl FnOnce(&str) -> R) -> R {
        read(self)
    }
}

impl<T: LabelValue + ?Sized> LabelValue for &T {
    #[inline]
    fn with_text<R>(&self, read: impl FnOnce(&str) -> R) -> R {
        T::with_text(self, read)
    }

    #[inline]
    fn hash_into(&self, state: &mut impl Hasher) {
        T::hash_into(self, state);
    }

    #[inline]
    fn strip_from<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
        T::strip_from(self, text)
    }
}

impl<T: LabelValue + ToOwned + ?Sized> LabelValue for Cow<'_, T> {
    fn with_text<R>(&self, read: impl FnOnce(&str) -> R) -> R {
        T::with_text(self, read)
    }

    #[inline]
    fn hash_into(&self, state: &mut impl Hasher) {
        T::hash_into(self, state);
    }

    #[inline]
    fn strip_from<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
        T::strip_from(self, text)
    }
}

impl<T: LabelValue + ?Sized> LabelValue for Box<T> {
    fn with_text<R>(&self, read: impl FnOnce(&str) -> R) -> R {
        T::with_text(self, read)
    }

    #[inline]
    fn hash_into(&self, state: &mut impl Hasher) {
        T::hash_into(self, state);
    }

    #[inline]
    fn strip_from<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
        T::strip_from(self, text)
    }
}

impl LabelValue for String {
    fn with_text<R>(&self, read: impl FnOnce(&str) -> R) -> R {
        read(self)
    }
}

/// Nothing is the empty text, which Prometheus takes for a label that is not there.
impl<T: LabelValue> LabelValue for Option<T> {
    fn with_text<R>(&self, read: impl FnOnce(&str) -> R) -> R {
        match self {
            Some(value) => value.with_text(read),
            None => read(""),
        }
    }
}

impl LabelValue for bool {
    fn with_text<R>(&self, read: impl FnOnce(&str) -> R) -> R {
        read(if *self { "true" } else { "false" })
    }
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl LabelValue for $integer {
            fn with_text<R>(&self, read: impl FnOnce(&str) -> R) -> R {
                read(Digits::new(u64::from(*self)).as_str())
            }

            #[inline]
            fn hash_into(&self, state: &mut impl Hasher) {
                state.write_u64(u64::from(*self));
            }

            #[inline]
            fn strip_from<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
                let (mut number, mut rest) = (0_u64, text);
                while let [digit @ b'0'..=b'9', more @ ..] = rest {
                    number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
                    rest = more;
                }
                (number == u64::from(*self)).then_some(rest)
            }
        }
    )*};
}

integers!(u8 u16 u32 u64);

/// Declares a struct that is a [`LabelSet`](crate::registry::LabelSet): each field is a label of its
/// name, or of the name after `as`.
///
/// ```
/// use stats_core::{label_set, label_value};
///
/// label_value! {
///     /// How a request was sent.
///     #[derive(Clone, Copy, Debug)]
///     pub enum Method {
///         Get = "GET",
///         Post = "POST",
///     }
/// }
///
/// label_set! {
///     /// What requests are counted by. Borrowed: a known set is found without an allocation.
///     #[derive(Clone, Copy, Debug)]
///     pub struct Route<'a> {
///         method: Method,
///         path: &'a str,
///         code: u16,
///         kind as "type": &'a str,
///     }
/// }
/// ```
#[macro_export]
macro_rules! label_set {
    (
        $(#[$attribute:meta])* $visibility:vis struct $name:ident<$lifetime:lifetime> { $($fields:tt)* }
    ) => {
        $crate::label_set!(@struct [$(#[$attribute])*] [$visibility] $name [<$lifetime>] [<'static>] [] [] $($fields)*);
    };
    ($(#[$attribute:meta])* $visibility:vis struct $name:ident { $($fields:tt)* }) => {
        $crate::label_set!(@struct [$(#[$attribute])*] [$visibility] $name [] [] [] [] $($fields)*);
    };
    // One field after the other: with a label's name of its own, or without.
    (
        @struct $attributes:tt $visibility:tt $name:ident $generics:tt $static:tt [$($done:tt)*] [$($labels:tt)*]
        $(#[$attribute:meta])* $field_visibility:vis $field:ident as $label:literal : $type:ty $(, $($rest:tt)*)?
    ) => {
        $crate::label_set!(
            @struct $attributes $visibility $name $generics $static
            [$($done)* $(#[$attribute])* $field_visibility $field: $type,]
            [$($labels)* ($field, $label)]
            $($($rest)*)?
        );
    };
    (
        @struct $attributes:tt $visibility:tt $name:ident $generics:tt $static:tt [$($done:tt)*] [$($labels:tt)*]
        $(#[$attribute:meta])* $field_visibility:vis $field:ident : $type:ty $(, $($rest:tt)*)?
    ) => {
        $crate::label_set!(
            @struct $attributes $visibility $name $generics $static
            [$($done)* $(#[$attribute])* $field_visibility $field: $type,]
            [$($labels)* ($field, ::core::stringify!($field))]
            $($($rest)*)?
        );
    };
    (
        @struct [$($attributes:tt)*] [$visibility:vis] $name:ident [$($generics:tt)*] [$($static:tt)*]
        [$($fields:tt)*] [$(($field:ident, $label:expr))*]
    ) => {
        $($attributes)*
        $visibility struct $name $($generics)* { $($fields)* }

        impl $($generics)* $crate::registry::LabelSet for $name $($generics)* {
            const NAMES: &'static [&'static str] = &[$($label),*];
            type Family = $name $($static)*;

            #[inline]
            fn each_value(&self, visitor: &mut impl $crate::registry::Visitor) {
                $($crate::registry::Visitor::value(visitor, &self.$field);)*
            }
        }
    };
}

/// Declares an enum without fields that is a [`LabelValue`](crate::registry::LabelValue): a closed set
/// of values, each with its text. See [`label_set!`](crate::label_set).
#[macro_export]
macro_rules! label_value {
    (
        $(#[$attribute:meta])* $visibility:vis enum $name:ident {
            $($(#[$variant_attribute:meta])* $variant:ident = $text:literal),+ $(,)?
        }
    ) => {
        $(#[$attribute])*
        $visibility enum $name { $($(#[$variant_attribute])* $variant),+ }

        impl $crate::registry::LabelValue for $name {
            #[inline]
            fn with_text<R>(&self, read: impl ::core::ops::FnOnce(&str) -> R) -> R {
                read(match self { $(Self::$variant => $text),+ })
            }
        }
    };
}

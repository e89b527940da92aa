//! The rules of a feed one by one.

mod rules;

use super::*;

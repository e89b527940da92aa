//! The rules of a feed one by one; then, in `gapless`, all of them beside the real delivery.

mod client;
mod gapless;
mod rules;

use super::*;

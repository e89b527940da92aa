//! The rules of one subscriber one by one; then, in `gapless`, all of them beside the real delivery.

mod client;
mod gapless;
mod rules;

use super::*;

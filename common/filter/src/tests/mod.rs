mod bounds;
mod cases;
mod message;
mod naive;
mod random;
mod refused;

use crate::{Filter, FilterError, Limits};

const fn is_shared_by_tasks<T: Send + Sync>() {}
const _: () = is_shared_by_tasks::<Filter>();
const _: () = is_shared_by_tasks::<crate::Data<'static>>();

fn compile(rule: &str) -> Result<Filter, FilterError> {
    Filter::compile(rule.as_bytes(), &Limits::default())
}

//! A plain evaluator, after the text of the reference: no budget, no sharing, floats only. It shares no code with the one
//! that it judges.

#![expect(
    clippy::cast_possible_truncation,
    reason = "numbers of tests are small, and beyond that casts saturate"
)]

use std::collections::BTreeMap;

use serde_json::Value as Json;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum N {
    Null,
    Bool(bool),
    Num(f64),
    Str(String),
    Arr(Vec<Self>),
    Obj(BTreeMap<String, Self>),
}
use N::{Arr, Bool, Null, Num, Obj, Str};

pub(super) fn from(json: &Json) -> N {
    match json {
        Json::Null => Null,
        Json::Bool(is) => Bool(*is),
        Json::Number(number) => Num(number.as_f64().expect("a float")),
        Json::String(text) => Str(text.clone()),
        Json::Array(items) => Arr(items.iter().map(from).collect()),
        Json::Object(map) => {
            Obj(map.iter().map(|(key, value)| (key.clone(), from(value))).collect())
        }
    }
}

pub(super) fn truthy(value: &N) -> bool {
    match value {
        Null => false,
        Bool(is) => *is,
        Num(number) => !(number.is_nan() || *number == 0.0),
        Str(text) => !text.is_empty(),
        Arr(items) => !items.is_empty(),
        Obj(_) => true,
    }
}

fn number_text(number: f64) -> String {
    if number.is_nan() {
        "NaN".into()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity".into() } else { "-Infinity".into() }
    } else if number == 0.0 {
        "0".into()
    } else if number.abs() >= 1e21 || number.abs() < 1e-6 {
        let text = format!("{number:e}");
        if text.contains("e-") { text } else { text.replace('e', "e+") }
    } else {
        format!("{number}")
    }
}

fn string(value: &N) -> String {
    match value {
        Null => "null".into(),
        Bool(is) => is.to_string(),
        Num(number) => number_text(*number),
        Str(text) => text.clone(),
        Arr(items) => joined(items, ","),
        Obj(_) => "[object Object]".into(),
    }
}

fn joined(items: &[N], with: &str) -> String {
    let texts: Vec<String> =
        items.iter().map(|item| if *item == Null { String::new() } else { string(item) }).collect();
    texts.join(with)
}

fn number(value: &N) -> f64 {
    match value {
        Null => 0.0,
        Bool(is) => f64::from(u8::from(*is)),
        Num(number) => *number,
        Str(text) => match text.trim() {
            "" => 0.0,
            text if text.contains(['n', 'N', 'i', 'y']) && !text.contains("Infinity") => f64::NAN,
            text => text.parse().unwrap_or(f64::NAN),
        },
        other => number(&Str(string(other))),
    }
}

fn parse_float(value: &N) -> f64 {
    let text = string(value);
    let text = text.trim_start();
    if text.starts_with("NaN") || text.starts_with("nan") || text.starts_with("inf") {
        return f64::NAN;
    }
    // The longest beginning that is a number.
    let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let is_plain = |part: &str| !part.to_lowercase().contains("inf") || part.ends_with("Infinity");
    let longest = ends
        .into_iter()
        .rev()
        .map(|end| &text[..end])
        .filter(|part| is_plain(part))
        .find_map(|part| part.parse().ok());
    longest.unwrap_or(f64::NAN)
}

fn equal(one: &N, other: &N) -> bool {
    match (one, other) {
        (Null, Null) => true,
        (Null, _) | (_, Null) => false,
        (Bool(one), Bool(other)) => one == other,
        (Str(one), Str(other)) => one == other,
        (Arr(_) | Obj(_), Arr(_) | Obj(_)) => one == other,
        (Arr(_) | Obj(_), Str(_)) | (Str(_), Arr(_) | Obj(_)) => string(one) == string(other),
        _other => number(one) == number(other),
    }
}

fn ordered(one: &N, other: &N, is: fn(&std::cmp::Ordering) -> bool) -> bool {
    let is_primitive_text = |value: &N| matches!(value, Str(_) | Arr(_) | Obj(_));
    if is_primitive_text(one) && is_primitive_text(other) {
        let units = |value: &N| string(value).encode_utf16().collect::<Vec<_>>();
        return is(&units(one).cmp(&units(other)));
    }
    number(one).partial_cmp(&number(other)).is_some_and(|ordering| is(&ordering))
}

/// `None` where there is nothing.
fn var(path: &N, data: &N) -> Option<N> {
    if matches!(path, Null) || *path == Str(String::new()) {
        return Some(data.clone());
    }
    let path = string(path);
    let parts: Vec<&str> = path.split('.').collect();
    let mut at = data.clone();
    for part in parts {
        at = match at {
            Obj(map) => map.get(part)?.clone(),
            Arr(items) if part == "length" => Num(items.len() as f64),
            Arr(items) => {
                let place: usize = part.parse().ok()?;
                if place.to_string() != part {
                    return None;
                }
                items.get(place)?.clone()
            }
            Str(text) if part == "length" => Num(text.encode_utf16().count() as f64),
            _nothing => return None,
        };
    }
    Some(at)
}

fn missing(keys: &[N], data: &N) -> Vec<N> {
    let is_missing = |key: &&N| {
        matches!(var(key, data), None | Some(Null)) || var(key, data) == Some(Str(String::new()))
    };
    keys.iter().filter(is_missing).cloned().collect()
}

fn list(value: N) -> Vec<N> {
    if let Arr(items) = value { items } else { Vec::new() }
}

pub(super) fn apply(rule: &Json, data: &N) -> N {
    let map = match rule {
        Json::Array(items) => return Arr(items.iter().map(|item| apply(item, data)).collect()),
        Json::Object(map) if map.len() == 1 => map,
        other => return from(other),
    };
    let (operator, arguments) = map.iter().next().expect("one");
    let arguments = match arguments {
        Json::Array(items) => items.clone(),
        one => vec![one.clone()],
    };
    let null = Json::Null;
    let argument = |at: usize| arguments.get(at).unwrap_or(&null);
    let eval = |at: usize| apply(argument(at), data);
    match operator.as_str() {
        "if" | "?:" => {
            let mut at = 0;
            while at + 1 < arguments.len() {
                if truthy(&eval(at)) {
                    return eval(at + 1);
                }
                at += 2;
            }
            return if at + 1 == arguments.len() { eval(at) } else { Null };
        }
        "and" | "or" => {
            let mut current = Null;
            for at in 0..arguments.len() {
                current = eval(at);
                if truthy(&current) == (operator == "or") {
                    break;
                }
            }
            return current;
        }
        "filter" => {
            let items = list(eval(0)).into_iter();
            return Arr(items.filter(|item| truthy(&apply(argument(1), item))).collect());
        }
        "map" => return Arr(list(eval(0)).iter().map(|item| apply(argument(1), item)).collect()),
        "reduce" => {
            return list(eval(0)).into_iter().fold(eval(2), |accumulator, current| {
                let scope = [("accumulator".into(), accumulator), ("current".into(), current)];
                apply(argument(1), &Obj(scope.into()))
            });
        }
        "all" | "some" | "none" => {
            let items = list(eval(0));
            let count = items.iter().filter(|item| truthy(&apply(argument(1), item))).count();
            return Bool(match operator.as_str() {
                "all" => !items.is_empty() && count == items.len(),
                "some" => count > 0,
                _none => count == 0,
            });
        }
        _other => {}
    }
    let v: Vec<N> = (0..arguments.len()).map(eval).collect();
    let one = v.first().unwrap_or(&Null);
    let two = v.get(1).unwrap_or(&Null);
    let in_order = |is| v.windows(2).all(|pair| ordered(&pair[0], &pair[1], is));
    match operator.as_str() {
        "var" => var(one, data).unwrap_or_else(|| two.clone()),
        "missing" => Arr(match one {
            Arr(keys) => missing(keys, data),
            _other => missing(&v, data),
        }),
        "missing_some" => {
            let keys = if let Arr(keys) = two { keys.clone() } else { vec![two.clone()] };
            let missing = missing(&keys, data);
            let there = Num((keys.len() - missing.len()) as f64);
            if ordered(&there, one, |o| o.is_ge()) { Arr(vec![]) } else { Arr(missing) }
        }
        "==" => Bool(equal(one, two)),
        "!=" => Bool(!equal(one, two)),
        "===" => Bool(one == two),
        "!==" => Bool(one != two),
        "!" => Bool(!truthy(one)),
        "!!" => Bool(truthy(one)),
        "<" => Bool(in_order(|o| o.is_lt())),
        "<=" => Bool(in_order(|o| o.is_le())),
        ">" => Bool(in_order(|o| o.is_gt())),
        ">=" => Bool(in_order(|o| o.is_ge())),
        "+" => Num(v.iter().map(parse_float).fold(0.0, |a, b| a + b)),
        "*" => Num(v.iter().map(parse_float).reduce(|a, b| a * b).expect("one")),
        "-" if v.len() == 1 => Num(-number(one)),
        "-" => Num(number(one) - number(two)),
        "/" => Num(number(one) / number(two)),
        "%" => Num(number(one) % number(two)),
        "min" | "max" => {
            let numbers: Vec<f64> = v.iter().map(number).collect();
            if numbers.iter().any(|number| number.is_nan()) {
                return Num(f64::NAN);
            }
            let by = f64::total_cmp;
            let numbers = numbers.into_iter();
            let is_min = operator == "min";
            Num(if is_min { numbers.min_by(by) } else { numbers.max_by(by) }.expect("one"))
        }
        "in" => Bool(match two {
            Str(text) => !text.is_empty() && text.contains(&string(one)),
            Arr(items) => items.contains(one),
            _other => false,
        }),
        "cat" => Str(joined(&v, "")),
        "substr" => {
            let text: Vec<char> = string(one).chars().collect();
            let at = number(two) as i64;
            let size = text.len() as i64;
            let start = if at < 0 { size.saturating_add(at).max(0) } else { at.min(size) };
            let rest = size - start;
            let count = v.get(2).map_or(rest, |count| match number(count) as i64 {
                but if but < 0 => rest.saturating_add(but).max(0),
                count => count.min(rest),
            });
            Str(text[start as usize..(start + count) as usize].iter().collect())
        }
        "merge" => Arr(v
            .into_iter()
            .flat_map(|value| if let Arr(items) = value { items } else { vec![value] })
            .collect()),
        other => panic!("operator {other}"),
    }
}

//! What is written is read back, and is as short as it can be.

use proptest::prelude::*;

use super::super::write::Binary;
use super::*;

fn written(to: Binary, write: impl FnOnce(&mut BytesMut)) -> (Vec<u8>, String) {
    let mut out = BytesMut::new();
    write(&mut out);
    let json = json_of(&out, to.encoding()).expect("well-formed");
    (out.to_vec(), json)
}

#[test]
fn an_event_is_written_piece_by_piece() {
    let event = |to: Binary| {
        let mut out = BytesMut::new();
        to.write_array_header(&mut out, 5);
        to.write_uint(&mut out, 36);
        to.write_bool(&mut out, true);
        to.write_null(&mut out);
        to.write_map_header(&mut out, 1);
        to.write_str(&mut out, "id");
        to.write_bytes(&mut out, &[7]);
        to.write_negative(&mut out, 0);
        out.to_vec()
    };
    assert_eq!(event(Binary::MsgPack), hex("95 24 c3 c0 81 a26964 c40107 ff"));
    assert_eq!(event(Binary::Cbor), hex("85 1824 f5 f6 a1 626964 4107 20"));
    assert_eq!(ALL.map(Binary::of), [None, Some(Binary::MsgPack), Some(Binary::Cbor)]);
}

#[test]
fn lengths_at_the_ends_of_their_ranges() {
    // Length, and bytes of the head for strings, bytes and lists.
    let msgpack = [
        (0, 1, 2, 1),
        (15, 1, 2, 1),
        (16, 1, 2, 3),
        (31, 1, 2, 3),
        (32, 2, 2, 3),
        (255, 2, 2, 3),
        (256, 3, 3, 3),
        (65_535, 3, 3, 3),
        (65_536, 5, 5, 5),
    ];
    let cbor = [
        (0, 1, 1, 1),
        (23, 1, 1, 1),
        (24, 2, 2, 2),
        (255, 2, 2, 2),
        (256, 3, 3, 3),
        (65_535, 3, 3, 3),
        (65_536, 5, 5, 5),
    ];
    let cases = msgpack.map(|case| (Binary::MsgPack, case)).into_iter();
    for (to, (length, text, bytes, list)) in cases.chain(cbor.map(|case| (Binary::Cbor, case))) {
        let (found, json) = written(to, |out| to.write_str(out, &"x".repeat(length)));
        assert_eq!((found.len(), json.len()), (text + length, length + 2), "{to:?} {length}");
        let (found, _) = written(to, |out| to.write_bytes(out, &vec![1; length]));
        assert_eq!(found.len(), bytes + length, "{to:?} {length}");
        let count = u32::try_from(length).expect("short");
        let (found, json) = written(to, |out| {
            to.write_array_header(out, count);
            (0..length).for_each(|_| to.write_uint(out, 1));
        });
        assert_eq!(found.len(), list + length, "{to:?} {length}");
        assert_eq!(json.matches('1').count(), length);
        let (found, json) = written(to, |out| {
            to.write_map_header(out, count);
            (0..2 * length).for_each(|_| to.write_uint(out, 1));
        });
        assert_eq!(found.len(), list + 2 * length, "{to:?} {length}");
        assert_eq!(json.matches(':').count(), length);
    }
}

proptest! {
    #[test]
    fn scalars_are_read_back(
        number: u64, shift in 0u32..64, single: f32, float: f64, text in "\\PC*",
    ) {
        let number = number >> shift;
        for to in [Binary::MsgPack, Binary::Cbor] {
            prop_assert_eq!(written(to, |out| to.write_uint(out, number)).1, number.to_string());
            let (found, json) = written(to, |out| to.write_negative(out, number));
            let negative = (-1 - i128::from(number)).to_string();
            if to == Binary::Cbor || i64::try_from(number).is_ok() {
                prop_assert_eq!(json, negative);
                prop_assert!(found.len() <= 9);
            } else {
                prop_assert_eq!(json, format!("\"{negative}\""));
            }
            let (_, json) = written(to, |out| to.write_f64(out, float));
            prop_assert_eq!(json.parse().ok(), Some(float).filter(|float| float.is_finite()));
            let (_, json) = written(to, |out| to.write_f32(out, single));
            let wanted = Some(f64::from(single)).filter(|float| float.is_finite());
            prop_assert_eq!(json.parse().ok(), wanted);
            let (_, json) = written(to, |out| to.write_str(out, &text));
            prop_assert_eq!(serde_json::from_str::<String>(&json).ok(), Some(text.clone()));
        }
    }
}

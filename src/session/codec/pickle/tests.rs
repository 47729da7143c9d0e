use proptest::prelude::*;

use super::*;
use crate::session::value::{BigInt, Uuid};

/// Pickles that Python 3.11 wrote, protocols 2 and 4: a UUID, markup, a moment at −04:30, and a
/// list that occurs twice and is filled between its first and its second mention.
const UUID: [&[u8]; 2] = [
    b"\x80\x02cuuid\nUUID\nq\0)\x81q\x01}q\x02X\x03\0\0\0intq\x03\x8a\x11\xff\xff\xff\xff\xff\xff\
      \xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0sb.",
    b"\x80\x04\x95\x31\0\0\0\0\0\0\0\x8c\x04uuid\x94\x8c\x04UUID\x94\x93\x94)\x81\x94}\x94\x8c\
      \x03int\x94\x8a\x11\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0sb.",
];
const MARKUP: &[u8] =
    b"\x80\x04\x95\x23\0\0\0\0\0\0\0\x8c\x0amarkupsafe\x94\x8c\x06Markup\x94\x93\x94\x8c\x03<b>\
      \x94\x85\x94\x81\x94.";
const MOMENT: [&[u8]; 2] = [
    b"\x80\x02cdatetime\ndatetime\nq\0c_codecs\nencode\nq\x01X\x0b\0\0\0\x07\xc3\xa8\x01\x02\x03\
      \x04\x05\0\0\x06q\x02X\x06\0\0\0latin1q\x03\x86q\x04Rq\x05cdatetime\ntimezone\nq\x06cdateti\
      me\ntimedelta\nq\x07J\xff\xff\xff\xffJ\x38\x12\x01\0K\0\x87q\x08Rq\x09X\x01\0\0\0xq\x0a\x86\
      q\x0bRq\x0c\x86q\x0dRq\x0e.",
    b"\x80\x04\x95\x61\0\0\0\0\0\0\0\x8c\x08datetime\x94\x8c\x08datetime\x94\x93\x94C\x0a\x07\xe8\
      \x01\x02\x03\x04\x05\0\0\x06\x94h\0\x8c\x08timezone\x94\x93\x94h\0\x8c\x09timedelta\x94\x93\
      \x94J\xff\xff\xff\xffJ\x38\x12\x01\0K\0\x87\x94R\x94\x8c\x01x\x94\x86\x94R\x94\x86\x94R\x94.",
];
const SHARED: &[u8] =
    b"\x80\x04}\x94(\x8c\x01a\x94]\x94(K\x01K\x02e\x8c\x01b\x94h\x02\x8c\x01c\x94\
                        h\x02u.";
const PROTOCOL_0: &[u8] =
    b"(dp0\nVb\np1\nc_codecs\nencode\np2\n(V\xff\\u0000\np3\nVlatin1\np4\ntp5\n\
    Rp6\nsVe\np7\nc__builtin__\nbytes\np8\n(tRp9\nsVt\np10\n(I1\nL-5L\nI01\ntp11\nsVs\np12\n\
    V\\u20ac\\U0001f600\\u005cu\np13\nsVf\np14\nF1e+16\nsVl\np15\n(lp16\nNag16\nas.";

fn tuple(items: &[Value]) -> Value {
    Value::Tuple(items.to_vec())
}

#[test]
fn what_python_wrote_is_read_in_every_protocol() {
    for pickle in UUID {
        assert_eq!(loads(pickle), Ok(Value::Uuid(Uuid([0xff; 16]))));
    }
    assert_eq!(loads(MARKUP), Ok(Value::Markup("<b>".into())));
    for pickle in MOMENT {
        let moment = Value::Timestamp { seconds: 1_704_180_845, nanoseconds: 6_000 };
        assert_eq!(loads(pickle), Ok(moment), "2024-01-02T03:04:05.000006-04:30");
    }
    let list = Value::List(vec![Value::Int(1), Value::Int(2)]);
    let shared = Map::from_iter(["a", "b", "c"].map(|key| (Value::from(key), list.clone())));
    assert_eq!(decode(SHARED), Ok(shared));
}

#[test]
fn the_oldest_protocol_is_read_but_for_its_cycles() {
    assert_eq!(decode(PROTOCOL_0), Err(DecodeError::TooDeep), "a list in itself");
    let tree = [PROTOCOL_0.strip_suffix(b"g16\nas.").unwrap(), b"s."].concat();
    let expected = Map::from_iter([
        (Value::from("b"), Value::Bytes(vec![0xff, 0])),
        (Value::from("e"), Value::Bytes(Vec::new())),
        (Value::from("t"), tuple(&[Value::Int(1), Value::Int(-5), Value::Bool(true)])),
        (Value::from("s"), Value::from("€😀\\u")),
        (Value::from("f"), Value::Float(1e16)),
        (Value::from("l"), Value::List(vec![Value::Null])),
    ]);
    assert_eq!(decode(&tree), Ok(expected));
}

#[test]
fn nothing_that_names_code_is_taken() {
    for (pickle, named) in [
        (b"cos\nsystem\n(S'true'\ntR.".as_slice(), "os.system"),
        (b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.", "posix.system"),
        (b"\x80\x04}\x8c\x01a\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85Rs.", "builtins.eval"),
        (b"\x80\x04c_codecs\ndecode\n.", "_codecs.decode"),
        (b"\x80\x04\x8c\x08builtins\x8c\x03set\x93].", "builtins.set"),
        (b"\x80\x04cbuiltins\ngetattr\n(cdatetime\ndatetime\nVnow\ntR.", "builtins.getattr"),
        (b"\x80\x04cdatetime.datetime\nnow\n)R.", "datetime.datetime.now"),
    ] {
        let refused = loads(pickle).unwrap_err();
        assert!(matches!(refused, DecodeError::Refused(_)), "{refused}");
        assert!(refused.to_string().contains(named), "{refused}");
    }
    // INST, OBJ, PERSID, BINPERSID, EXT1, NEWOBJ_EX, BYTEARRAY8, NEXT_BUFFER, POP, DUP.
    for op in *b"ioPQ\x82\x92\x96\x970\x32" {
        assert_eq!(loads(&[b'(', op, b'.']), Err(DecodeError::Opcode(op)));
    }
}

#[test]
fn a_class_with_other_arguments_than_its_own_is_refused() {
    for pickle in [
        b"c_codecs\nencode\n(Va\nVrot13\ntR.".as_slice(),
        b"c_codecs\nencode\n(V\\u0100\nVlatin1\ntR.",
        b"c__builtin__\nbytes\n(I1000000000\ntR.",
        b"\x80\x04cuuid\nUUID\n\x8c\x02zz\x85R.",
        b"\x80\x04cuuid\nUUID\n)\x81}\x8c\x03intJ\xff\xff\xff\xffsb.",
        b"\x80\x04cuuid\nUUID\n)\x81Nb.",
        b"\x80\x04}}b.",
        b"\x80\x04cdatetime\ntimedelta\nK\x01K\0K\0\x87R.",
        b"\x80\x04cdatetime\ntimezone\n)R.",
        b"\x80\x04cdatetime\ndatetime\n.",
        b"\x80\x04cmarkupsafe\nMarkup\nK\x01\x85R.",
    ] {
        let refused = loads(pickle).unwrap_err();
        assert!(matches!(refused, DecodeError::Refused(_)), "{pickle:?} {refused}");
    }
    let unreal = b"cdatetime\ndatetime\nC\x0a\x07\xe8\x01\x02\x03\x04\x05\xff\xff\xff";
    let utc = b"cdatetime\ntimezone\ncdatetime\ntimedelta\nK\0K\0K\0\x87R\x85R\x86R.";
    assert!(matches!(loads(&[&unreal[..], utc].concat()), Err(DecodeError::Refused(_))));
    let day = |day: u8| {
        let state = [b"\x07\xe8\x02".as_slice(), &[day], b"\0\0\0\0\0\0"].concat();
        let head = [b"\x80\x04cdatetime\ndatetime\nC\x0a".as_slice(), &state].concat();
        loads(&[&head[..], utc].concat())
    };
    assert_eq!(day(29), Ok(Value::Timestamp { seconds: 1_709_164_800, nanoseconds: 0 }));
    assert!(matches!(day(30), Err(DecodeError::Refused(_))));
}

#[test]
fn what_would_come_back_as_something_else_is_refused() {
    let naive = b"\x80\x04cdatetime\ndatetime\nC\x0a\x07\xe8\x01\x02\x03\x04\x05\0\0\x06\x85R.";
    assert!(loads(naive).unwrap_err().to_string().contains("without a zone"));
    for set in [b"\x80\x04\x8f.".as_slice(), b"\x80\x04(K\x01\x91."] {
        assert!(loads(set).unwrap_err().to_string().contains("a set"));
    }
    assert_eq!(loads(b"\x80\x04}(]K\x01u."), Err(DecodeError::NotPickle), "an unhashable key");
}

#[test]
fn a_short_pickle_does_not_unfold_to_a_huge_value() {
    // A hundred lists, each of ten times the one before.
    let mut laughs = b"\x80\x04(]\x94".to_vec();
    for before in 0..100 {
        laughs.extend(b"]\x94(");
        laughs.extend([b'h', before].repeat(10));
        laughs.push(b'e');
    }
    laughs.extend(b"t.");
    assert_eq!(loads(&laughs), Err(DecodeError::TooLarge));

    let text = "x".repeat(10_000);
    let mut repeated = b"\x80\x04](X\x10\x27\0\0".to_vec();
    repeated.extend(text.as_bytes());
    repeated.push(0x94);
    repeated.extend(b"h\0".repeat(1000));
    repeated.extend(b"e.");
    assert_eq!(loads(&repeated), Err(DecodeError::TooLarge));
}

#[test]
fn what_a_pickle_announces_costs_nothing() {
    for lie in [
        b"\x80\x05X\xff\xff\xff\xff".as_slice(),
        b"\x80\x05\x8d\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x80\x05\x8e\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x80\x05\x8b\xff\xff\xff\x7f",
        b"\x80\x05\x95\xff\xff\xff\xff\xff\xff\xff\xff}",
        b"\x80\x05]r\xff\xff\xff\xff",
    ] {
        assert_eq!(loads(lie), Err(DecodeError::Truncated), "{lie:?}");
    }
    assert_eq!(loads(b"]r\xff\xff\xff\xff."), Ok(Value::List(Vec::new())));
    let long = [&b"\x8b\xfb\x06\0\0"[..], &[0x7f; 1787], b"."].concat();
    assert_eq!(loads(&long), Err(DecodeError::TooLarge));
}

#[test]
fn nesting_ends_in_an_error_and_not_in_a_stack_overflow() {
    let deep = [&b"]".repeat(500_000)[..], &b"a".repeat(499_999), b"."].concat();
    assert_eq!(loads(&deep), Err(DecodeError::TooDeep));
    let marks = [&b"(".repeat(500_000)[..], &b"t".repeat(500_000), b"."].concat();
    assert_eq!(loads(&marks), Err(DecodeError::TooDeep));
    let mut value = Value::Null;
    for _ in 0..200 {
        value = Value::List(vec![value]);
    }
    assert_eq!(dumps(&value), Err(EncodeError::TooDeep));
}

#[test]
fn only_one_whole_dictionary_is_a_session() {
    assert_eq!(decode(b""), Err(DecodeError::Truncated));
    assert_eq!(decode(b"\x80\x05}"), Err(DecodeError::Truncated));
    assert_eq!(decode(b"\x80\x05}.}"), Err(DecodeError::Trailing(1)));
    assert_eq!(decode(b"\x80\x05N."), Err(DecodeError::Null));
    assert_eq!(decode(b"\x80\x05]."), Err(DecodeError::NotAMap));
    for bad in [&b"."[..], b"}}.", b"(}.", b"t.", b"K\x01}s.", b"}K\x01s.", b"}(K\x01u.", b"g0\n."]
    {
        assert_eq!(decode(bad), Err(DecodeError::NotPickle), "{bad:?}");
    }
    assert!(matches!(decode(b"\x80\x06}."), Err(DecodeError::Refused(_))));
}

#[test]
fn integers_of_any_size_are_written_and_read() {
    let mut digits = String::from("1");
    for length in 1..400 {
        for digits in [digits.clone(), format!("-{digits}")] {
            let value = BigInt::parse(&digits).unwrap();
            assert_eq!(loads(&dumps(&value).unwrap()), Ok(value), "{digits}");
        }
        digits.push(char::from(b'0' + (length % 10) as u8));
    }
    let two_to_the_136 = [&b"\x8a\x12"[..], &[0; 17], b"\x01."].concat();
    let decimal = BigInt::parse("87112285931760246646623899502532662132736");
    assert_eq!(loads(&two_to_the_136).ok(), decimal);
    let minus = [&b"\x8a\x12"[..], &[0; 17], b"\xff."].concat();
    assert_eq!(loads(&minus).ok(), BigInt::parse("-87112285931760246646623899502532662132736"));
    assert_eq!(loads(b"\x8a\0."), Ok(Value::Int(0)));
    let (longest, longer) = ("9".repeat(4300), "9".repeat(4301));
    let longest = BigInt::parse(&longest).unwrap();
    assert_eq!(loads(&dumps(&longest).unwrap()), Ok(longest));
    assert_eq!(dumps(&BigInt::parse(&longer).unwrap()), Err(EncodeError::TooLong));
}

#[test]
fn what_python_could_not_load_is_not_written() {
    let list = Value::List(Vec::new());
    for key in [list.clone(), Value::Map(Map::new()), tuple(&[Value::Int(1), list])] {
        let values = Map::from_iter([(key, Value::Null)]);
        assert_eq!(encode(&values), Err(EncodeError::Key));
    }
    for seconds in [-62_135_596_801, 253_402_300_800, i64::MIN, i64::MAX] {
        assert_eq!(dumps(&Value::Timestamp { seconds, nanoseconds: 0 }), Err(EncodeError::Time));
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i128>().prop_map(Value::Int),
        (any::<i128>(), 0..127_u32).prop_map(|(number, by)| Value::Int(number >> by)),
        "-?[1-9][0-9]{39,90}".prop_map(|digits| BigInt::parse(&digits).unwrap()),
        any::<f64>().prop_map(Value::Float),
        ".{0,20}".prop_map(Value::Str),
        (250..260_usize).prop_map(|len| Value::Str("é".repeat(len / 2))),
        ".{0,20}".prop_map(Value::Markup),
        any::<[u8; 16]>().prop_map(|bytes| Value::Uuid(Uuid(bytes))),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
        (-62_135_596_800_i64..253_402_300_800, 0..1_000_000_u32).prop_map(|(seconds, micros)| {
            Value::Timestamp { seconds, nanoseconds: micros * 1000 }
        }),
    ];
    let key = prop_oneof![
        ".{0,8}".prop_map(Value::Str),
        any::<i64>().prop_map(|n| Value::Int(n.into())),
        any::<bool>().prop_map(|b| tuple(&[Value::Bool(b), Value::from("k")])),
    ];
    leaf.prop_recursive(4, 48, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::List),
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::Tuple),
            prop::collection::vec((key.clone(), inner), 0..4)
                .prop_map(|entries| Value::Map(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_value_survives(value in any_value()) {
        prop_assert_eq!(loads(&dumps(&value).unwrap()), Ok(value));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
        let _ = loads(&bytes);
    }

    #[test]
    fn no_opcodes_make_the_reader_panic(
        ops in prop::collection::vec(prop::sample::select(
            b"().NIJKMLFGVXCB]lae}dsutqphgrj\x80\x81\x85\x86\x87\x88\x89\x8a\x8b\x8c\x93\x94\x95cRb\0\x01\n1"
                .as_slice()), 0..60)
    ) {
        let _ = loads(&ops);
    }

    #[test]
    fn no_change_to_a_pickle_makes_the_reader_panic(
        value in any_value(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        python in prop::sample::select(
            [&UUID[..], &MOMENT[..], &[MARKUP, SHARED, PROTOCOL_0]].concat()),
    ) {
        for mut pickle in [dumps(&value).unwrap(), python.to_vec()] {
            for (at, byte) in &changes {
                let at = at.index(pickle.len());
                pickle[at] = *byte;
            }
            let _ = loads(&pickle);
        }
    }
}

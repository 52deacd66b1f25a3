//! Walks a reply's bytes before they are decoded, so that no length or count on the wire is trusted with memory.
//!
//! The codec allocates whatever a count says; a count is held here against the bytes that remain, and a reply must
//! end where its last field does.

/// One field of a reply, as far as its length goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// So many bytes.
    Fixed(usize),
    /// A length as unsigned varint, plus one (0 is null), then bytes.
    Text,
    /// A count as unsigned varint, plus one (0 is null), then elements.
    List(&'static [Shape]),
    /// Tagged fields; those whose content the codec decodes are named with their own shape.
    Tags(&'static [(u32, &'static [Shape])]),
    /// A length as 16 bits (-1 is null), then bytes.
    OldText,
    /// A count as 32 bits (-1 is null), then elements.
    OldList(&'static [Shape]),
}

/// Checks that `bytes` are exactly the given fields. The error says what is wrong.
pub(crate) fn check(mut bytes: &[u8], fields: &[Shape]) -> Result<(), String> {
    walk(&mut bytes, fields)?;
    if bytes.is_empty() {
        Ok(())
    } else {
        Err(format!("{} bytes too many", bytes.len()))
    }
}

fn walk(bytes: &mut &[u8], fields: &[Shape]) -> Result<(), String> {
    for field in fields {
        match *field {
            Shape::Fixed(length) => skip(bytes, length)?,
            Shape::Text => match varint(bytes)? {
                0 => {}
                length => skip(bytes, length - 1)?,
            },
            Shape::List(element) => match varint(bytes)? {
                0 => {}
                count => walk_list(bytes, count - 1, element)?,
            },
            Shape::Tags(known) => walk_tags(bytes, known)?,
            Shape::OldText => match i16::from_be_bytes(take(bytes)?) {
                -1 => {}
                length => skip(
                    bytes,
                    usize::try_from(length).map_err(|_| format!("length {length}"))?,
                )?,
            },
            Shape::OldList(element) => match i32::from_be_bytes(take(bytes)?) {
                -1 => {}
                count => {
                    let count = usize::try_from(count).map_err(|_| format!("count {count}"))?;
                    walk_list(bytes, count, element)?;
                }
            },
        }
    }
    Ok(())
}

fn walk_list(bytes: &mut &[u8], count: usize, element: &[Shape]) -> Result<(), String> {
    let least: usize = element.iter().map(least_size).sum();
    if count.saturating_mul(least) > bytes.len() {
        return Err(format!("{count} elements announced, {} bytes left", bytes.len()));
    }
    (0..count).try_for_each(|_| walk(bytes, element))
}

fn walk_tags(bytes: &mut &[u8], known: &[(u32, &'static [Shape])]) -> Result<(), String> {
    for _ in 0..varint(bytes)? {
        let tag = varint(bytes)?;
        let length = varint(bytes)?;
        let content = bytes.get(..length).ok_or_else(|| short(length, bytes.len()))?;
        if let Some((_, fields)) = known.iter().find(|(known, _)| usize::try_from(*known) == Ok(tag)) {
            check(content, fields)?;
        }
        *bytes = &bytes[length..];
    }
    Ok(())
}

/// The fewest bytes that a field takes.
fn least_size(field: &Shape) -> usize {
    match field {
        Shape::Fixed(length) => *length,
        Shape::Text | Shape::List(_) | Shape::Tags(_) => 1,
        Shape::OldText => 2,
        Shape::OldList(_) => 4,
    }
}

fn skip(bytes: &mut &[u8], length: usize) -> Result<(), String> {
    *bytes = bytes.get(length..).ok_or_else(|| short(length, bytes.len()))?;
    Ok(())
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], String> {
    let (head, rest) = bytes
        .split_first_chunk::<N>()
        .ok_or_else(|| short(N, bytes.len()))?;
    *bytes = rest;
    Ok(*head)
}

fn varint(bytes: &mut &[u8]) -> Result<usize, String> {
    let mut value: u64 = 0;
    for shift in (0..35).step_by(7) {
        let [byte] = take(bytes)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let fits = u32::try_from(value).map_err(|_| format!("number {value} above 32 bits"))?;
            return usize::try_from(fits).map_err(|_| format!("number {value}"));
        }
    }
    Err("number longer than 5 bytes".to_owned())
}

fn short(wanted: usize, left: usize) -> String {
    format!("{wanted} bytes announced, {left} left")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REPLY: &[Shape] = &[
        Shape::Fixed(4),
        Shape::List(&[Shape::Text, Shape::Fixed(2), Shape::Tags(&[])]),
        Shape::Tags(&[(0, &[Shape::List(&[Shape::Fixed(8)])])]),
    ];

    #[test]
    fn a_whole_reply_passes_and_a_cut_or_longer_one_does_not() {
        let whole = [0, 0, 0, 0, 2, 3, b'a', b'b', 0, 0, 0, 0];
        assert_eq!(check(&whole, REPLY), Ok(()));
        for cut in 0..whole.len() {
            assert!(check(&whole[..cut], REPLY).is_err(), "cut at {cut}");
        }
        assert!(check(&[&whole[..], &[0]].concat(), REPLY).is_err());
    }

    #[test]
    fn a_count_of_i32_max_is_refused_in_every_place() {
        let varint_max = [0xff, 0xff, 0xff, 0xff, 0x07];
        assert!(check(&[&[0; 4][..], &varint_max].concat(), REPLY).is_err());
        let in_tag = [&[0, 0, 0, 0, 1, 1, 0, 5][..], &varint_max].concat();
        assert!(check(&in_tag, REPLY).is_err());
        let old = i32::MAX.to_be_bytes();
        assert!(check(&old, &[Shape::OldList(&[Shape::OldText])]).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _verdict = check(&bytes, REPLY);
        }
    }
}

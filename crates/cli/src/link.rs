//! Addresses of the playground: a scenario in the fragment, which browsers do not send to servers.
//!
//! The fragment is what the page reads and writes itself (`web/src/share.ts`): `s` is the text,
//! compressed by deflate, in the alphabet of base64 for addresses; `kernel` and `seed` override
//! those of the scenario.

use miniz_oxide::deflate::compress_to_vec;

use crate::output::Failure;
use crate::select::Overrides;

/// Compression level of deflate: the smallest result.
const SMALLEST: u8 = 10;

/// A page that is served somewhere.
#[derive(Debug)]
pub(crate) struct Playground<'a> {
    base: &'a str,
}

impl<'a> Playground<'a> {
    /// The page at an address.
    pub(crate) fn at(base: Option<&'a str>) -> Result<Self, Failure> {
        let Some(base) = base else {
            return Err(Failure::Message(
                "error: the address of the playground is unknown\n  = help: add `--playground URL`, or `playground = \"URL\"` to fourtuple.toml; `web/build` makes the page"
                    .to_owned(),
            ));
        };
        let is_plain = |c: char| c.is_ascii_graphic() && c != '#';
        let is_web = base.starts_with("https://") || base.starts_with("http://");
        if !is_web || !base.chars().all(is_plain) {
            return Err(Failure::Message(format!(
                "error: invalid `--playground` value `{base}`: expected `https://HOST/PATH/`"
            )));
        }
        Ok(Playground { base })
    }

    /// The address of a scenario.
    ///
    /// # Errors
    /// More than one kernel is selected: an address has room for one.
    pub(crate) fn link(&self, text: &str, overrides: &Overrides) -> Result<String, Failure> {
        let packed = base64(&compress_to_vec(text.as_bytes(), SMALLEST));
        let mut link = format!("{}#s={packed}", self.base);
        match overrides.kernel.as_slice() {
            [] => {}
            [one] if !one.contains("..") && one != "all" => {
                link.push_str(&format!("&kernel={one}"));
            }
            _ => {
                return Err(Failure::Message(
                    "error: an address of the playground has one kernel at most\n  = help: leave `--kernel` out: the page compares all kernels"
                        .to_owned(),
                ));
            }
        }
        if let Some(seed) = overrides.seed {
            link.push_str(&format!("&seed={seed}"));
        }
        Ok(link)
    }
}

/// Bytes in the alphabet of base64 for addresses, without padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |n: usize| u32::from(group.get(n).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for n in 0..=group.len() {
            let index = bits >> (18 - 6 * n) & 63;
            out.push(char::from(ALPHABET[index as usize]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let all =
            ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|one| base64(one.as_bytes()));
        assert_eq!(
            all,
            ["", "Zg", "Zm8", "Zm9v", "Zm9vYg", "Zm9vYmE", "Zm9vYmFy"]
        );
        assert_eq!(base64(&[0xfb, 0xff]), "-_8");
    }

    #[test]
    fn base_is_an_address_without_a_fragment() {
        for wrong in [
            "example.org",
            "https://example.org/#x",
            "javascript:alert(1)",
            "https://a b/",
        ] {
            assert!(Playground::at(Some(wrong)).is_err(), "{wrong}");
        }
        assert!(Playground::at(None).is_err());
        assert!(Playground::at(Some("https://example.org/play/")).is_ok());
    }
}

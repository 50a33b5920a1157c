//! How does a text look as a QR code? An SVG, the same each time. What the text means is not known here.

use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};

const SIDE: u32 = 256;

/// The picture; `None` when the text is too long for one.
#[must_use]
pub fn svg(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    Some(code.render::<svg::Color<'_>>().min_dimensions(SIDE, SIDE).quiet_zone(true).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_square_repeats_and_depends_on_the_text() {
        let picture = svg("a text").expect("short");
        assert_eq!(Some(&picture), svg("a text").as_ref());
        assert_ne!(Some(&picture), svg("b text").as_ref());
        let sizes = picture.split("viewBox=\"0 0 ").nth(1).and_then(|rest| rest.split('"').next()).expect("a viewBox");
        let (width, height) = sizes.split_once(' ').expect("two numbers");
        assert_eq!(width, height);
        assert!(width.parse::<u32>().expect("a number") >= SIDE);
        assert_eq!(svg(&"x".repeat(4_000)), None);
    }
}

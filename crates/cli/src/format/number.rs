//! Go's `%g`.

/// `%.<digits>g`: that many significant digits, no zeros at the end, an exponent where the number has more digits.
pub(crate) fn general(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').expect("the format has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent is a number");
    let precision = i32::try_from(digits).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= precision {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim(mantissa), exponent.abs());
    }
    let decimals = usize::try_from(precision - 1 - exponent).unwrap_or(0);
    trim(&format!("{value:.decimals$}")).to_owned()
}

fn trim(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_prints_it() {
        let cases =
            [(0.0, "0"), (1.0, "1"), (1.5, "1.5"), (12.346, "12.3"), (123.4, "123"), (999.9, "1e+03"), (0.01, "0.01")];
        for (value, text) in cases {
            assert_eq!(general(value, 3), text);
        }
        assert_eq!(general(1.9823, 4), "1.982");
        assert_eq!(general(23.539, 4), "23.54");
    }
}

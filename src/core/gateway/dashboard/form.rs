//! The body of a form, as browsers send it.

/// Its fields, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads `application/x-www-form-urlencoded`, of which every text is some.
    pub fn parse(body: &str) -> Self {
        let owned = form_urlencoded::parse(body.as_bytes());
        Self(owned.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// The first field of that name; empty when there is none.
    pub fn field(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded_and_missing_ones_are_empty() {
        let form = Form::parse("id=a+b%26%3Cc%3E&csrf=x&id=second&odd");
        assert_eq!((form.field("id"), form.field("csrf"), form.field("odd")), ("a b&<c>", "x", ""));
        assert_eq!(Form::parse("").field("id"), "");
    }
}

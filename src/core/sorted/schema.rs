//! What a map is to a schema: an object whose keys are those of the type. Built for tests only.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::Map;

impl<K: JsonSchema, V: JsonSchema> JsonSchema for Map<K, V> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("MapOf{}To{}", K::schema_name(), V::schema_name()).into()
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        let (keys, values) = (schemas.subschema_for::<K>(), schemas.subschema_for::<V>());
        json_schema!({ "type": "object", "propertyNames": keys, "additionalProperties": values })
    }
}

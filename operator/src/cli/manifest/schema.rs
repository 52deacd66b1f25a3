//! Holds an object against a schema and names every fault by its field, as admission would, for people who preview
//! before they apply. Pure. Patterns and rules across fields are left to the kind's own parser.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::Value;

/// Every fault of a value, each as `field: what is wrong`.
pub(in crate::cli) fn faults(schema: &JSONSchemaProps, value: &Value, field: &str) -> Vec<String> {
    let mut found = vec![];
    check(schema, value, field, &mut found);
    found
}

fn check(schema: &JSONSchemaProps, value: &Value, field: &str, found: &mut Vec<String>) {
    if schema.x_kubernetes_int_or_string == Some(true) {
        if !value.is_string() && !value.is_i64() {
            found.push(format!(
                "{field}: {} is neither a string nor a whole number of 64 bits",
                shown(value)
            ));
        }
        return;
    }
    let fits = match schema.type_.as_deref() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64(),
        _ => true,
    };
    if !fits {
        let wanted = match schema.type_.as_deref() {
            Some("integer") => "a whole number",
            Some("boolean") => "true or false",
            Some("array") => "a list",
            Some("string") => "text",
            _ => "a group of fields",
        };
        found.push(format!("{field}: {} is not {wanted}", shown(value)));
        return;
    }
    bounds(schema, value, field, found);
    match value {
        Value::Object(fields) => object(schema, fields, field, found),
        Value::Array(items) => {
            if let Some(JSONSchemaPropsOrArray::Schema(of)) = &schema.items {
                for (index, item) in items.iter().enumerate() {
                    check(of, item, &format!("{field}[{index}]"), found);
                }
            }
        }
        _ => {}
    }
}

fn object(
    schema: &JSONSchemaProps,
    fields: &serde_json::Map<String, Value>,
    field: &str,
    found: &mut Vec<String>,
) {
    for name in schema
        .required
        .iter()
        .flatten()
        .filter(|name| !fields.contains_key(*name))
    {
        found.push(format!("{field}.{name}: is required"));
    }
    for (name, value) in fields {
        if let Some(of) = schema.properties.as_ref().and_then(|known| known.get(name)) {
            check(of, value, &format!("{field}.{name}"), found);
        } else if let Some(JSONSchemaPropsOrBool::Schema(of)) = &schema.additional_properties {
            check(of, value, &format!("{field}[{name:?}]"), found);
        } else if let Some(known) = &schema.properties {
            let known: Vec<&str> = known.keys().map(String::as_str).collect();
            found.push(format!(
                "{field}.{name}: there is no such field; there are {}",
                known.join(", ")
            ));
        }
    }
}

fn bounds(schema: &JSONSchemaProps, value: &Value, field: &str, found: &mut Vec<String>) {
    if let Some(words) = &schema.enum_
        && !words.iter().any(|word| word.0 == *value)
    {
        let words: Vec<String> = words
            .iter()
            .map(|word| word.0.as_str().map_or_else(|| word.0.to_string(), str::to_owned))
            .collect();
        found.push(format!(
            "{field}: {} is not one of {}",
            shown(value),
            words.join(", ")
        ));
    }
    #[allow(clippy::cast_precision_loss, reason = "bounds of ours are below 2^53")]
    if let Some(number) = value.as_i64().map(|number| number as f64) {
        if let Some(least) = schema.minimum.filter(|least| number < *least) {
            found.push(format!("{field}: {number} is below {least}"));
        }
        if let Some(most) = schema.maximum.filter(|most| number > *most) {
            found.push(format!("{field}: {number} is above {most}"));
        }
    }
    let (length, least, most, unit) = match value {
        Value::String(text) => (
            text.chars().count(),
            schema.min_length,
            schema.max_length,
            "characters",
        ),
        Value::Array(items) => (items.len(), schema.min_items, schema.max_items, "items"),
        Value::Object(fields) => (fields.len(), schema.min_properties, schema.max_properties, "keys"),
        _ => return,
    };
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    if let Some(least) = least.filter(|least| length < *least) {
        found.push(format!(
            "{field}: has {length} {unit}, at least {least} are needed"
        ));
    }
    if let Some(most) = most.filter(|most| length > *most) {
        found.push(format!(
            "{field}: has {length} {unit}, {most} at most are allowed"
        ));
    }
}

/// A value in an error: short, whatever it is.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 {
        return text;
    }
    let start: String = text.chars().take(60).collect();
    format!("{start}...")
}

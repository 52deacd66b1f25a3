//! The committed YAML is what the types say, and every definition keeps the rules of the API.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read its subject has failed"
)]

use std::fs;
use std::path::Path;

use ottla_crds::crd;
use serde_json::Value;

/// Visits every schema below `schema`, with its path.
fn walk(path: &str, schema: &Value, visit: &mut dyn FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, visit);
    }
    for (key, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[key].is_object() {
            walk(&format!("{path}{suffix}"), &schema[key], visit);
        }
    }
}

fn each_schema(mut visit: impl FnMut(&str, &Value)) {
    for crd in crd::all() {
        let value = serde_json::to_value(&crd).unwrap();
        for version in value["spec"]["versions"].as_array().unwrap() {
            let root = &version["schema"]["openAPIV3Schema"];
            let kind = value["spec"]["names"]["kind"].as_str().unwrap();
            for part in ["spec", "status"] {
                walk(&format!("{kind}.{part}"), &root["properties"][part], &mut visit);
            }
        }
    }
}

#[test]
fn committed_files_are_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for directory in ["crds", "charts/ottla/files/crds"] {
        let mut found: Vec<_> = fs::read_dir(root.join(directory))
            .unwrap_or_else(|e| panic!("{directory}: {e}; run `cargo xtask crds`"))
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| Path::new(name).extension().is_some_and(|e| e == "yaml"))
            .collect();
        let mut expected: Vec<_> = crd::all().iter().map(crd::file_name).collect();
        found.sort();
        expected.sort();
        assert_eq!(
            found, expected,
            "{directory} holds other files; run `cargo xtask crds`"
        );
        for crd in crd::all() {
            let name = crd::file_name(&crd);
            let committed = fs::read_to_string(root.join(directory).join(&name)).unwrap();
            assert!(
                committed == crd::yaml(&crd).unwrap(),
                "{directory}/{name} is stale; run `cargo xtask crds`"
            );
        }
    }
}

#[test]
fn yaml_reads_back_as_the_same_definition() {
    for crd in crd::all() {
        let read: k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition =
            serde_saphyr::from_str(&crd::yaml(&crd).unwrap()).unwrap();
        assert_eq!(read, crd);
    }
}

#[test]
fn every_field_is_described() {
    let mut missing = vec![];
    each_schema(|path, schema| {
        let leaf = path.ends_with("[]") || path.ends_with("{}");
        if !leaf && schema["description"].as_str().is_none_or(str::is_empty) {
            missing.push(path.to_owned());
        }
    });
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn everything_in_a_spec_is_bounded() {
    let mut unbounded = vec![];
    each_schema(|path, schema| {
        if !path.contains(".spec") {
            return;
        }
        let bounded = match schema["type"].as_str() {
            Some("string") => schema["maxLength"].is_number() || schema["enum"].is_array(),
            Some("array") => schema["maxItems"].is_number(),
            Some("object") => schema["properties"].is_object() || schema["maxProperties"].is_number(),
            Some("integer") => schema["minimum"].is_number(),
            _ => true,
        };
        if !bounded {
            unbounded.push(path.to_owned());
        }
    });
    assert!(unbounded.is_empty(), "{unbounded:#?}");
}

#[test]
fn no_nulls_no_unsigned_formats_no_fractions() {
    each_schema(|path, schema| {
        assert!(schema["nullable"].is_null(), "{path} is nullable");
        assert!(schema["type"] != "number", "{path} is a fraction");
        if let Some(format) = schema["format"].as_str() {
            assert!(
                ["int32", "int64", "date-time"].contains(&format),
                "{path} has format {format}"
            );
        }
    });
}

#[test]
fn an_unseen_object_is_not_ready_and_can_be_waited_for() {
    for crd in crd::all() {
        let value = serde_json::to_value(&crd).unwrap();
        let version = &value["spec"]["versions"][0];
        let status = &version["schema"]["openAPIV3Schema"]["properties"]["status"];
        assert_eq!(status["default"]["conditions"][0]["type"], "Ready");
        assert_eq!(status["default"]["conditions"][0]["status"], "Unknown");
        assert_eq!(status["default"]["conditions"][0]["reason"], ottla_crds::UNSEEN);
        let conditions = &status["properties"]["conditions"];
        assert_eq!(conditions["x-kubernetes-list-type"], "map");
        assert_eq!(conditions["x-kubernetes-list-map-keys"][0], "type");
        assert!(status["properties"]["observedGeneration"].is_object());
        assert!(version["subresources"]["status"].is_object());
        let columns = version["additionalPrinterColumns"].as_array().unwrap();
        // What is done once is looked up by what it is done to.
        let first = match value["spec"]["names"]["kind"].as_str().unwrap() {
            "KafkaTopicPurge" => ["Topic", "Method", "State", "Records"].as_slice(),
            _ => &["Ready", "State"],
        };
        let names: Vec<&str> = columns.iter().map(|c| c["name"].as_str().unwrap()).collect();
        assert_eq!(names[..first.len()], *first);
        assert_eq!(columns.last().unwrap()["name"], "Age");
        assert_eq!(value["spec"]["names"]["categories"][0], "ottla");
    }
}

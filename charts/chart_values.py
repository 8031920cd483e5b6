"""The charts' values.yaml and values.schema.json, made of what is declared: a ShimaCluster's schema (the CRD) and the options of our
programs (shima-operator-render --print-options). charts/render writes them.

A value that is wrong is so refused by helm itself, in words, before anything reaches the API server; the API server checks more.
"""

import json
import textwrap

WIDTH = 140
HEAD = "# Made by charts/render of {sources}; change these and render again.\n"

# Of JSON Schema and OpenAPI alike; the API server's own rules (x-kubernetes-*) stay with it.
KEPT = ("type", "description", "default", "enum", "minimum", "maximum", "minLength", "maxLength", "pattern", "minItems", "maxItems",
        "minProperties", "maxProperties", "required")

# What a ShimaCluster cannot be without, and what most want; the rest has the CRD's defaults.
START = {
    "coreServers.disks": [{"claim": {"size": "100Gi"}}],
    "etcd.data": {"claim": {"size": "10Gi"}},
    "storageClasses": [{"name": "shima", "isDefault": False, "reclaimPolicy": "Delete", "parameters": {"protocol": "fuse", "ack": "local"}}],
}
EXAMPLES = {
    "topology.sites": '[{name: berlin, matchLabels: {row: b}}]',
    "coreServers.disks": '[{hostPath: /srv/shima/disk-0}], or [{claim: {storageClass: fast, size: 1Ti}}]',
    "coreServers.resources": '{requests: {cpu: "2", memory: 4Gi}, limits: {memory: 8Gi}}',
    "coreServers.tolerations": "[{key: storage, operator: Exists, effect: NoSchedule}]",
    "etcd.endpoints": "[etcd-0.example:2379], and data: null",
    "etcd.data": "{hostPath: /srv/etcd, claim: null}, or {claim: {storageClass: fast, size: 10Gi}}",
}

# Options of the operator that its Deployment sets, or that mean nothing in a pod.
SET_BY_DEPLOYMENT = ("kubeconfig", "context", "leader-election", "lease-namespace", "image", "identity", "metrics-port")

OBJECTS = {"type": "array", "items": {"type": "object"}}
IMAGE = {"type": "string", "pattern": r"^\S+$", "maxLength": 512}
# (name, default as YAML, what it is, schema), of the chart shima-operator.
OPERATOR_VALUES = (
    ("image", "shima/shima:0.1.0", "Image with all programs of Shima; the ShimaCluster says its own, and etcd's pods take shima-etcd-guard of this one.", IMAGE),
    ("imagePullPolicy", "IfNotPresent", "", {"type": "string", "enum": ["Always", "IfNotPresent", "Never"]}),
    ("imagePullSecrets", "[]", "As in [{name: registry}].", OBJECTS),
    ("replicas", "2", "One acts, the others wait for its Lease.", {"type": "integer", "minimum": 0, "maximum": 16}),
    ("options", "{}", "", None),
    ("monitoring", "true", "PodMonitor and PrometheusRule of the operator, where the API server knows them (helm template: --api-versions "
     "monitoring.coreos.com/v1); and the right to make those of ShimaClusters.", {"type": "boolean"}),
    ("resources", "\n  requests: {cpu: 50m, memory: 128Mi}\n  limits: {memory: 512Mi}", "Of the operator's container.", {"type": "object"}),
    ("nodeSelector", "{}", "", {"type": "object", "additionalProperties": {"type": "string"}}),
    ("tolerations", "[]", "", OBJECTS),
)

PATTERNS = {"integer": "^[0-9]+$", "bytes": "^[0-9]+(KiB|MiB|GiB|TiB)?$", "duration": "^[0-9]+(ms|s|min|h)?$"}


def comment(text, indent):
    margin = " " * indent + "# "
    return "".join(f"{line}\n" for line in textwrap.wrap(text, WIDTH, initial_indent=margin, subsequent_indent=margin))


def in_yaml(value):
    """A plain value on one line; JSON is YAML, but texts need no quotes where they cannot be mistaken."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {in_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(in_yaml, value)) + "]"
    if isinstance(value, str) and value and all(letter.isalnum() or letter in "-./" for letter in value) and value[0].isalpha() or \
            isinstance(value, str) and value.startswith("/") and all(letter.isalnum() or letter in "-./" for letter in value):
        return value if value not in ("true", "false", "null", "yes", "no", "on", "off") else json.dumps(value)
    if isinstance(value, str) and ":" in value and not any(letter in value for letter in " #{}[],&*!|>'\"%@`") and value[0].isalpha():
        return value
    return json.dumps(value)


def in_words(number, kind):
    """4194304 bytes: 4MiB; 5000 ms: 5000ms."""
    if kind != "bytes":
        return f"{number}ms" if kind == "duration" else str(number)
    for suffix, size in (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if number and number % size == 0:
            return f"{number // size}{suffix}"
    return str(number)


def bounds(option):
    """What an option may be, in words; empty: anything."""
    if option["allowed"]:
        return ", ".join(option["allowed"])
    if option["type"] == "bool":
        return "true, false"
    if option["type"] == "list":
        return "commas between"
    if option["type"] == "string" or (option["min"] == 0 and option["max"] >= 2**64 - 1):
        return ""
    least = in_words(option["min"], option["type"])
    return f"{least} or more" if option["max"] >= 2**64 - 1 else f"{least} to {in_words(option['max'], option['type'])}"


def option_lines(options, indent):
    """Each option as a line that is a comment, ready to be moved into `options`."""
    lines = ""
    for option in options:
        allowed = bounds(option)
        text = f'{option["name"]}: {json.dumps(option["default"])} - {option["help"]}' + (f" ({allowed})" if allowed else "")
        margin = " " * indent + "#   "
        lines += "".join(f"{line}\n" for line in textwrap.wrap(text, WIDTH, initial_indent=margin, subsequent_indent=margin + "    ",
                                                               break_on_hyphens=False, break_long_words=False))
    return lines


def option_schema(option):
    schema = {"type": "string", "description": option["help"], "maxLength": 1024}
    if option["allowed"]:
        schema["enum"] = option["allowed"]
    elif option["type"] == "bool":
        schema["enum"] = ["true", "false"]
    elif option["type"] in PATTERNS:
        schema["pattern"] = PATTERNS[option["type"]]
    return schema


def options_schema(options, description):
    return {"type": "object", "description": description, "additionalProperties": False,
            "properties": {option["name"]: option_schema(option) for option in options}}


def spec_schema(schema, path, options):
    """A part of the CRD's schema as JSON Schema; `options`: those that are declared, by the path of their map."""
    if path in options:
        return options_schema(options[path], schema["description"])
    made = {key: schema[key] for key in KEPT if key in schema}
    if "properties" in schema:
        made["properties"] = {name: spec_schema(one, f"{path}.{name}".lstrip("."), options) for name, one in schema["properties"].items()}
        made["additionalProperties"] = False
    elif "additionalProperties" in schema:
        made["additionalProperties"] = spec_schema(schema["additionalProperties"], path, options)
    if "items" in schema:
        made["items"] = spec_schema(schema["items"], path + "[]", options)
    if {"hostPath", "claim"} <= set(schema.get("properties", {})):
        made["oneOf"] = [{"required": ["hostPath"]}, {"required": ["claim"]}]
    if path == "etcd":  # helm takes away what is null
        made["oneOf"] = [{"required": ["data"], "properties": {"endpoints": {"maxItems": 0}}},
                         {"not": {"required": ["data"]}, "required": ["endpoints"], "properties": {"endpoints": {"minItems": 1}}}]
    return made


def field_comment(schema, path):
    text = schema.get("description", "").strip()
    if "enum" in schema:
        text += f" One of {', '.join(schema['enum'])}."
    elif "minimum" in schema and "maximum" in schema:
        text += f" {schema['minimum']} to {schema['maximum']}."
    items = schema.get("items", {}).get("properties")
    if items and path not in EXAMPLES:
        text += " Of each: " + "; ".join(f"{name}{': ' + one['description'].strip() if 'description' in one else ''}".rstrip(".")
                                         for name, one in items.items()) + "."
    if path in EXAMPLES:
        text += f" As in {EXAMPLES[path]}"
    return text.strip()


def spec_lines(schema, path, options, indent):
    """values.yaml of an object's fields."""
    text, margin = "", " " * indent
    for name, one in schema["properties"].items():
        where = f"{path}.{name}".lstrip(".")
        text += comment(field_comment(one, where), indent)
        value = START.get(where, one.get("default"))
        if where in options:
            text += option_lines(options[where], indent) + f"{margin}{name}: {{}}\n"
        elif where in START and isinstance(value, list):
            text += f"{margin}{name}:\n" + "".join(f"{margin}  - {in_yaml(item)}\n" for item in value)
        elif where in START or "properties" not in one or where.endswith("resources"):
            text += f"{margin}{name}: {in_yaml(value)}\n"
        else:
            text += f"{margin}{name}:\n" + spec_lines(one, where, options, indent + 2)
    return text


def whole_schema(title, properties, required):
    made = {"$schema": "http://json-schema.org/draft-07/schema#", "title": title, "type": "object", "required": required,
            "properties": {**properties, "global": {"type": "object"}}, "additionalProperties": False}
    return json.dumps(made, indent=2) + "\n"


def cluster_files(crd, declared):
    """{file name: text} of the chart shima-cluster."""
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    options = {"coreServers.options": declared["coreServers"], "accessServers.options": declared["accessServers"]}
    name = "Of the ShimaCluster; its namespace is the release's. One a namespace."
    text = HEAD.format(sources="shima-operator/crds/shimaclusters.yaml and the options that our servers declare")
    text += "\n" + comment(name, 0) + "name: shima\n\n"
    text += comment("The ShimaCluster's spec. Lists take the place of those here; maps are laid over them, and null takes a field away.", 0)
    text += "spec:\n" + spec_lines(schema, "", options, 2)
    named = {"type": "string", "description": name, "minLength": 1, "maxLength": 63, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}
    return {"values.yaml": text,
            "values.schema.json": whole_schema("Values of shima-cluster", {"name": named, "spec": spec_schema(schema, "", options)}, ["name", "spec"])}


def operator_files(declared):
    """{file name: text} of the chart shima-operator."""
    free = [option for option in declared["operator"] if option["name"] not in SET_BY_DEPLOYMENT]
    about = "Options of shima-operator by name, as texts (docs/reference/configuration.md). With `namespaces` it may change things in these alone."
    text = HEAD.format(sources="charts/chart_values.py and the options that shima-operator declares")
    properties = {}
    for name, default, what, schema in OPERATOR_VALUES:
        properties[name] = options_schema(free, about) if name == "options" else {**schema, **({"description": what} if what else {})}
        text += "\n" if what or name == "options" else ""
        text += comment(about, 0) + option_lines(free, 0) if name == "options" else comment(what, 0) if what else ""
        text += f"{name}:{'' if default[0] == chr(10) else ' '}{default}\n"
    return {"values.yaml": text, "values.schema.json": whole_schema("Values of shima-operator", properties, ["image", "replicas"])}

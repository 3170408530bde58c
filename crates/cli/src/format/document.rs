//! JSON documents shown by a template, as Docker's client does it.

use std::borrow::Cow;
use std::sync::Arc;

use dhow_errdefs::{Error, Result};
use gotmpl::parse::{DefineNode, ListNode, Parser};
use gotmpl::{FuncMap, Template, TemplateError, Value, ValueFunc};

use super::functions::for_values;
use super::printf::{GoValue, print, printf, println};
use super::rewrite::{FIELD, INDEX, ITERABLE, PRINTABLE, Rewriter, SHOWN, TYPED, TYPED_FIELD, unbalanced};
use super::template::syntax;
use super::view::View;

/// What stands before every error.
const FAULT: &str = "template parsing error";

/// A document, and the type that Docker's client has for it.
pub(crate) struct Document {
    text: String,
    kind: &'static str,
    otherwise: Otherwise,
    /// Fields of our own that are left out of documents where they are false.
    own: &'static [&'static str],
}

/// What becomes of a template that does not fit the document's type.
#[derive(Clone, Copy)]
enum Otherwise {
    Fails,
    /// It is tried with the names that are in the document, and what is wrong then is the error.
    Plain,
    /// The same, but the first error is the error: Docker's client knows nothing but its types here.
    PlainOrFails,
}

impl Document {
    /// A document of one of the types in `types.txt`.
    pub(crate) fn new(text: impl Into<String>, kind: &'static str) -> Self {
        Self { text: text.into(), kind, otherwise: Otherwise::Fails, own: &[] }
    }

    /// A template that does not fit the type is tried with the names that are in the document, as `inspect` does.
    pub(crate) fn or_plain(mut self) -> Self {
        self.otherwise = Otherwise::Plain;
        self
    }

    /// The same for a document that may have fields of our own, which Docker's type has not. Those `own` that are not there
    /// are false.
    pub(crate) fn or_own_fields(mut self, own: &'static [&'static str]) -> Self {
        self.own = own;
        self.otherwise = Otherwise::PlainOrFails;
        self
    }

    /// The document as it is.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether a template can be read at all.
    pub(crate) fn check(source: &str) -> Result<()> {
        Prepared::read(source).map(drop)
    }

    /// Executes a template on the document.
    pub(crate) fn execute(&self, source: &str) -> Result<String> {
        let prepared = Prepared::read(source)?;
        let unreadable = |cause| Error::data_loss("read the daemon's answer").with_cause(cause);
        let typed = View::typed(&self.text, self.kind).map_err(unreadable)?;
        let plain = || prepared.execute(View::plain(&self.with_own_fields()).map_err(unreadable)?);
        prepared.execute(typed).or_else(|error| match self.otherwise {
            Otherwise::Fails => Err(error),
            Otherwise::Plain => plain(),
            Otherwise::PlainOrFails => plain().map_err(|_| error),
        })
    }
}

impl Document {
    fn with_own_fields(&self) -> Cow<'_, str> {
        match serde_json::from_str::<serde_json::Map<_, _>>(&self.text) {
            Ok(mut fields) if !self.own.is_empty() => {
                for name in self.own {
                    fields.entry(*name).or_insert(serde_json::Value::Bool(false));
                }
                Cow::Owned(serde_json::Value::Object(fields).to_string())
            }
            _ => Cow::Borrowed(&self.text),
        }
    }
}

/// A template that can be read.
struct Prepared {
    tree: ListNode,
    defines: Vec<DefineNode>,
}

impl Prepared {
    fn read(source: &str) -> Result<Self> {
        let wrong = |why: String| Error::invalid(format!("{FAULT}: {why}"));
        let parsed = Parser::new(source, "{{", "}}").and_then(Parser::parse);
        let (mut tree, mut defines) = parsed.map_err(|error| wrong(syntax(source, &error)))?;
        if let Some(why) = unbalanced(source) {
            return Err(wrong(format!("template: :1: {why}")));
        }
        let functions = for_values(Arc::new(|_| String::new()));
        let known = |name: &str| functions.contains_key(name);
        let rewriter = Rewriter::new(source, &known);
        let rewritten = rewriter.list(&mut tree, false);
        let mut bodies = || defines.iter_mut().try_for_each(|define| rewriter.list(&mut define.body, false));
        rewritten.and_then(|()| bodies()).map_err(|why| wrong(format!("template: :1: {why}")))?;
        Ok(Self { tree, defines })
    }

    fn execute(&self, view: View) -> Result<String> {
        let (value, view) = (view.value.clone(), Arc::new(view));
        let mut template = Template::new("").funcs(functions(&view)).add_parse_tree("all of it", self.tree.clone());
        for define in &self.defines {
            template = template.add_parse_tree(&define.name, define.body.clone());
        }
        template.execute_template_to_string("all of it", &value).map_err(|error| {
            let why = match error {
                TemplateError::Exec(why) if why.starts_with("template: ") => why,
                other => format!("template: :1: executing \"\": {other}"),
            };
            Error::invalid(format!("{FAULT}: {why}"))
        })
    }
}

/// The functions of templates, on the values of a view.
fn functions(view: &Arc<View>) -> FuncMap {
    let for_json = Arc::clone(view);
    let mut functions = for_values(Arc::new(move |value| for_json.json(value)));
    let mut add = |name: &str, function: fn(&View, &[Value]) -> Result<Value, String>| {
        let view = Arc::clone(view);
        let function: ValueFunc = Arc::new(move |args| function(&view, args).map_err(TemplateError::Exec));
        functions.insert(name.to_owned(), function);
    };
    add(FIELD, field);
    add(INDEX, index);
    add(ITERABLE, |view, args| view.iterable(&args[0]));
    add(PRINTABLE, |view, args| Ok(view.printable(&args[0])));
    add(TYPED, |_, args| Ok(typed(args[0].clone(), None)));
    add(TYPED_FIELD, typed_field);
    add("print", |view, args| Ok(printed(view, args, print)));
    add("printf", |view, args| Ok(printed(view, args, printf)));
    add("println", |view, args| Ok(printed(view, args, println)));
    add(SHOWN, |view, args| Ok(Value::String(view.shown(&args[0]).into())));
    functions
}

/// Place, node, value, and the names of fields.
fn field(view: &View, args: &[Value]) -> Result<Value, String> {
    let mut value = args[2].clone();
    for name in &args[3..] {
        value = view.field(&value, &name.to_string()).map_err(|why| at(args, &why))?;
    }
    Ok(value)
}

/// The same with its type, which numbers do not tell.
fn typed_field(view: &View, args: &[Value]) -> Result<Value, String> {
    let (last, before) = args.split_last().expect("a field has a name");
    let owner = field(view, before)?;
    let name = last.to_string();
    let value = view.field(&owner, &name).map_err(|why| at(args, &why))?;
    Ok(typed(value, view.field_of(&owner, &name)))
}

/// A value on its way to `printf`.
fn typed(value: Value, name: Option<String>) -> Value {
    Value::List([value, name.map_or(Value::Nil, |name| Value::String(name.into()))].into())
}

fn printed(view: &View, args: &[Value], by: fn(&[GoValue]) -> String) -> Value {
    let args: Vec<GoValue> = args.iter().map(|arg| untyped(view, arg)).collect();
    Value::String(by(&args).into())
}

fn untyped(view: &View, arg: &Value) -> GoValue {
    match arg {
        Value::List(pair) => match &pair[..] {
            [value, Value::String(name)] => view.go(value, Some(name)),
            [value, _] => view.go(value, None),
            _ => GoValue::nil(),
        },
        other => GoValue::from(other),
    }
}

/// Place, node, value, and keys.
fn index(view: &View, args: &[Value]) -> Result<Value, String> {
    let failed = |why: &str| at(args, &format!("error calling index: {why}"));
    let start = args.get(2).ok_or_else(|| failed("wrong number of args for index: want at least 1 got 0"))?;
    let mut value = start.clone();
    for key in &args[3..] {
        value = view.index(&value, key).map_err(|why| failed(&why))?;
    }
    Ok(value)
}

fn at(args: &[Value], why: &str) -> String {
    format!("template: :{}: executing \"\" at <{}>: {why}", args[0], args[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"Id":"abc","Name":"/c1","State":{"Running":true,"Status":"running","Pid":7},"Args":["a","b"],
        "Config":{"Labels":{"x":"1"},"Env":null,"Volumes":null,"ExposedPorts":{"80/tcp":{}},"Strange":"<b>",
            "Healthcheck":{"Test":["NONE"],"Interval":90000000000}},
        "HostConfig":{"RestartPolicy":{"Name":"no"},"Ulimits":[{"Name":"nofile","Soft":1,"Hard":2}],"Init":true,
            "PortBindings":{"80/tcp":[{"HostIp":"","HostPort":"8080"}]},"Memory":5},
        "Mounts":[{"Type":"bind","Source":"/a","Destination":"/b","RW":true}],
        "NetworkSettings":{"Networks":{"n":{"IPAddress":"10.0.0.2"}}}}"#;

    fn run(source: &str) -> String {
        let document = Document::new(TEXT, "container.InspectResponse").or_plain();
        document.execute(source).unwrap_or_else(|error| error.to_string())
    }

    /// Addresses are nobody's business.
    fn without_addresses(text: &str) -> String {
        let parts: Vec<&str> = text.split("0xc").collect();
        parts.iter().enumerate().map(|(at, part)| if at == 0 { *part } else { part.get(9..).unwrap_or("") }).collect()
    }

    #[test]
    fn own_fields_are_found_and_others_are_refused_by_the_type() {
        let run =
            |text: &str, source| Document::new(text, "volume.Volume").or_own_fields(&["Protected"]).execute(source);
        assert_eq!(run(r#"{"Name":"v","Protected":true}"#, "{{.Name}} {{.Protected}}").unwrap(), "v true");
        assert_eq!(run(r#"{"Name":"v"}"#, "{{.Name}} {{.Protected}}").unwrap(), "v false");
        assert!(
            run(r#"{"Name":"v"}"#, "{{.Nothing}}")
                .unwrap_err()
                .to_string()
                .ends_with("can't evaluate field Nothing in type volume.Volume")
        );
    }

    #[test]
    fn variables_keep_their_types() {
        for (source, printed) in [
            ("{{$m := .HostConfig.Memory}}{{$n := $m}}{{printf \"%T %v\" $n $m}}", "int64 5"),
            ("{{$m := .HostConfig.Memory}}{{$m | printf \"%T\"}} {{$m}}", "int64 5"),
            ("{{with $m := .HostConfig.Memory}}{{printf \"%T\" $m}}{{end}}", "int64"),
            (
                "{{$m := .HostConfig.Memory}}{{if true}}{{$m := .Name}}{{printf \"%T \" $m}}{{end}}{{printf \"%T\" $m}}",
                "string int64",
            ),
            ("{{$m := .HostConfig.Memory}}{{if true}}{{$m = .State.Pid}}{{end}}{{printf \"%T %d\" $m $m}}", "int 7"),
            ("{{$m := .HostConfig.Memory}}{{range $m := .Args}}{{printf \"%T \" $m}}{{end}}", "string string "),
            ("{{$s := \"a\"}}{{$s = print $s \"b\"}}{{$s = print $s \"c\"}}{{$s}}", "abc"),
            ("{{$s := \"\"}}{{range .Args}}{{$s = printf \"%s[%s]\" $s .}}{{end}}{{$s}}", "[a][b]"),
            ("{{$s := \"\"}}{{range .Args}}{{with $s = print $s .}}{{.}} {{end}}{{end}}{{print $s}}", "a ab ab"),
            (
                "{{$s := \"a\"}}{{$s = print (upper $s) $s}}{{if $s = print $s 1}}{{$s}} {{printf \"%s\" $s}}{{end}}",
                "Aa1 Aa1",
            ),
            ("{{$m := len .Args}}{{printf \"%T\" $m}} {{$s := .State}}{{printf \"%T\" $s.Pid}}", "int int"),
        ] {
            assert_eq!(run(source), printed, "{source}");
        }
    }

    #[test]
    fn structures_print_as_gos() {
        assert_eq!(run("{{.State}}"), "{running true false false false false 7 0    <nil>}");
        assert_eq!(run("{{.Mounts}} {{index .Mounts 0}}"), "[{bind  /a /b   true }] {bind  /a /b   true }");
        assert_eq!(run("{{.HostConfig.RestartPolicy}} {{.HostConfig.Ulimits}}"), "{no 0} [nofile=1:2]");
        assert_eq!(
            run("{{.HostConfig.PortBindings}} {{.Config.ExposedPorts}}"),
            "map[80/tcp:[{ 8080}]] map[80/tcp:{}]"
        );
        assert_eq!(run("{{.Config.Healthcheck}}"), "{[NONE] 1m30s 0s 0s 0s 0}");
        assert_eq!(run("{{.HostConfig.Init}} {{.HostConfig.PidsLimit}}"), "true <nil>");
        assert_eq!(without_addresses(&run("{{.NetworkSettings.Networks}}")), "map[n:]");
        assert_eq!(without_addresses(&run("{{.}}")), "{ [{bind  /a /b   true }]   <nil>}");
        let state = "&{running true false false false false 7 0    <nil>}";
        assert_eq!(
            run("{{printf \"%v\" .State}} {{.State | print}} {{println .Args}}"),
            format!("{state} {state} [a b]\n")
        );
    }

    #[test]
    fn printf_knows_gos_types() {
        assert_eq!(run("{{printf \"%T %T %T\" .ID .State .State.Pid}}"), "string *container.State int");
        assert_eq!(
            run("{{.HostConfig.Memory | printf \"%T\"}} {{printf \"%s\" .HostConfig.Memory}}"),
            "int64 %!s(int64=5)"
        );
        assert_eq!(
            run("{{$h := .HostConfig}}{{printf \"%T %T\" $h.NetworkMode $h.Init}}"),
            "container.NetworkMode *bool"
        );
        assert_eq!(
            run("{{printf \"%T %v %#v\" .HostConfig.PidsLimit .HostConfig.PidsLimit .HostConfig.CapAdd}}"),
            "*int64 <nil> strslice.StrSlice(nil)"
        );
        assert_eq!(run("{{printf \"%q %d\" .Args .Config.Healthcheck.Interval}}"), "[\"a\" \"b\"] 90000000000");
        assert_eq!(
            run("{{printf \"%T %#v\" .HostConfig.PortBindings .Config.ExposedPorts}}"),
            "nat.PortMap nat.PortSet{\"80/tcp\":struct {}{}}"
        );
        assert_eq!(run("{{printf \"%v %T\" .Config.Labels.no .Config.Labels.no}}"), "<nil> <nil>");
        // Where Docker's types do not fit, values have JSON's.
        assert_eq!(
            run("{{printf \"%T %T %T %T %T\" .Id .State.Pid .Args .State .State.Running}}"),
            "string json.Number []interface {} map[string]interface {} bool"
        );
        assert_eq!(
            run("{{.Id}} {{.State.Pid}} {{json .State.Pid}} {{printf \"%d\" .State.Pid}}"),
            "abc 7 7 %!d(json.Number=7)"
        );
        assert_eq!(run("{{print .HostConfig.RestartPolicy .Args}} {{print 1 2 \"a\"}}"), "{no 0} [a b] 1 2a");
    }

    #[test]
    fn names_are_gos_or_the_documents() {
        assert_eq!(run("{{.ID}} {{.HostConfig.Resources.Memory}} {{.HostConfig.Memory}}"), "abc 5 5");
        assert_eq!(run("{{.Id}} {{.Config.Strange}}"), "abc <b>");
        assert_eq!(run("{{(index (index .HostConfig.PortBindings \"80/tcp\") 0).HostPort}}"), "8080");
        assert_eq!(run("{{range .State}}{{.}},{{end}}"), "7,true,running,");
        assert_eq!(run("{{index .State \"Status\"}}"), "running");
        assert_eq!(run("{{index .Config.Labels \"x\"}}|{{index .Config.Labels \"no\"}}"), "1|");
    }

    #[test]
    fn fields_and_functions() {
        assert_eq!(run("{{.Name}} {{.State.Pid}}"), "/c1 7");
        assert_eq!(run("{{json .State}} {{json .Name}}"), r#"{"Running":true,"Status":"running","Pid":7} "/c1""#);
        assert_eq!(run("{{join .Args \"+\"}} {{upper .Name}} {{range .Args}}<{{.}}>{{end}}"), "a+b /C1 <a><b>");
        assert_eq!(
            run("{{if .State.Health}}sick{{else}}none{{end}} {{.State.Health}} {{json .State.Health}}"),
            "none <nil> null"
        );
        assert_eq!(run("{{.Args}} {{printf \"%s-%d\" .Name .State.Pid}}"), "[a b] /c1-7");
        assert_eq!(
            run("{{split \"a,b\" \",\"}} {{title \"abc d\"}} {{pad \"x\" 1 2}}| {{truncate \"abcdef\" 3}}"),
            "[a b] Abc D  x  | abc"
        );
        assert_eq!(
            run("{{.Config.Env}} {{json .Config.Env}} {{.Config.Volumes}} {{json .Config.Volumes}}"),
            "[] null map[] null"
        );
        assert_eq!(run("{{.Config.Labels.no}}|{{$x := .State}}{{with $x.Status}}{{.}}{{end}}"), "<no value>|running");
        assert_eq!(run("{{define \"n\"}}<{{.Name}}>{{end}}{{template \"n\" .}}"), "</c1>");
        assert_eq!(
            run("{{range $k, $v := .Config.Labels}}{{$k}}={{$v}}{{end}} {{len .Args}} {{slice .ID 1}}"),
            "x=1 2 bc"
        );
        assert_eq!(run("{{json .Config.Healthcheck.Interval}}"), "90000000000");
    }

    #[test]
    fn errors_in_gos_words() {
        for (source, why) in [
            ("x {{.State.Foo}}", "1:10: executing \"\" at <.State.Foo>: map has no entry for key \"Foo\""),
            ("{{.Config.Foo.Bar}}", "1:9: executing \"\" at <.Config.Foo.Bar>: map has no entry for key \"Foo\""),
            (
                "{{.State.Health.Status}}",
                "1:8: executing \"\" at <.State.Health.Status>: map has no entry for key \"Health\"",
            ),
            ("{{.Name.Foo}}", "1:7: executing \"\" at <.Name.Foo>: can't evaluate field Foo in type interface {}"),
            ("{{$x := .State}}{{$x.Foo}}", "1:20: executing \"\" at <$x.Foo>: map has no entry for key \"Foo\""),
            ("{{index .Args 9}}", "1:2: executing \"\" at <index .Args 9>: error calling index: index out of range: 9"),
            ("{{.Foo", "1: unclosed action"),
            ("{{end}}", "1: unexpected {{end}}"),
            ("{{if .Name}}", "1: unexpected EOF"),
            ("{{break}}", "1: {{break}} outside {{range}}"),
            ("{{if false}}{{foo}}{{end}}", "1: function \"foo\" not defined"),
        ] {
            assert_eq!(run(source), format!("template parsing error: template: :{why}"), "{source}");
        }
        assert_eq!(run("{{if .Name}}{{else if .ID}}{{else}}{{end}}"), "");
        let typed = Document::new(TEXT, "container.State").execute("{{.Foo}}").unwrap_err().to_string();
        assert!(typed.ends_with("<.Foo>: can't evaluate field Foo in type container.State"), "{typed}");
    }
}

//! Templates prepared for [views](super::view::View): reading a field, indexing, walking and printing become calls of our
//! own functions, because the template engine knows neither structures nor pointers, nor where in the source it is.

use std::cell::{Cell, RefCell};

use gotmpl::Value;
use gotmpl::parse::{
    ActionNode, BranchNode, CommandNode, Expr, ListNode, Node, Number, Parser, PipeNode, Pos, SmolStr,
};

/// Names of the functions that a person cannot type.
pub(super) const FIELD: &str = "field of";
pub(super) const INDEX: &str = "index of";
pub(super) const ITERABLE: &str = "iterable";
pub(super) const PRINTABLE: &str = "printable";
pub(super) const SHOWN: &str = "shown";
pub(super) const TYPED: &str = "typed";
pub(super) const TYPED_FIELD: &str = "typed field of";

/// Functions that print values by their types, and those that print them as they stand.
const TYPING: [&str; 3] = ["print", "printf", "println"];
const PRINTING: [&str; 3] = ["html", "js", "urlquery"];
/// Functions of Go's templates.
const BUILTIN: [&str; 20] = [
    "and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or", "print", "printf",
    "println", "slice", "urlquery", "break",
];

/// What nobody has in a template.
const LAST: &str = "\u{1}the end\u{1}";

/// What the parser does not find out: ends that end nothing, and beginnings without an end. A text behind the template has
/// to be the last thing at the top of its tree.
pub(super) fn unbalanced(source: &str) -> Option<&'static str> {
    let (tree, defines) = Parser::new(&format!("{source}{LAST}"), "{{", "}}").and_then(Parser::parse).ok()?;
    let is_last = |node: &Node| matches!(node, Node::Text(text) if text.text.ends_with(LAST));
    match tree.nodes.last().is_some_and(is_last) {
        true => None,
        false if format!("{tree:?}{defines:?}").contains("the end") => Some("unexpected EOF"),
        false => Some("unexpected {{end}}"),
    }
}

/// Rewrites the tree of a template.
///
/// A variable has a twin where its value has a type that it does not tell itself: it is declared and set just before, and
/// stands for the variable where types count.
pub(super) struct Rewriter<'a> {
    source: &'a str,
    /// Whether there is a function of that name beside Go's own.
    known: &'a dyn Fn(&str) -> bool,
    /// The variables that can be seen, the nearest last, with their twins.
    variables: RefCell<Vec<(SmolStr, Option<SmolStr>)>>,
    /// Names that were made.
    twins: Cell<usize>,
}

impl<'a> Rewriter<'a> {
    pub(super) fn new(source: &'a str, known: &'a dyn Fn(&str) -> bool) -> Self {
        Self { source, known, variables: RefCell::default(), twins: Cell::new(0) }
    }

    /// The error is Go's, about what it would not have parsed.
    pub(super) fn list(&self, list: &mut ListNode, in_range: bool) -> Result<(), String> {
        let outside = self.variables.borrow().len();
        for mut node in std::mem::take(&mut list.nodes) {
            let twin = self.twin(&node)?;
            if twin.as_ref().is_some_and(|twin| twin.pipe.is_assign)
                && let Some(pipe) = piped(&mut node)
            {
                list.nodes.push(Node::Action(self.ahead(pipe)?));
            }
            list.nodes.extend(twin.clone().map(Node::Action));
            let twin = twin.and_then(|twin| twin.pipe.decl.into_iter().next());
            self.node(&mut node, in_range, twin)?;
            list.nodes.push(node);
        }
        self.variables.borrow_mut().truncate(outside);
        Ok(())
    }

    /// What declares or sets the twin of the variable that a node declares or sets.
    fn twin(&self, node: &Node) -> Result<Option<ActionNode>, String> {
        let (Node::Action(ActionNode { pipe, .. })
        | Node::If(BranchNode { pipe, .. })
        | Node::With(BranchNode { pipe, .. })) = node
        else {
            return Ok(None);
        };
        let [name] = &pipe.decl[..] else { return Ok(None) };
        let twin = match (pipe.is_assign, self.twin_of(name)) {
            (true, None) => return Ok(None),
            (true, Some(twin)) => twin,
            (false, _) => self.unheard(name),
        };
        let mut pipe = PipeNode { decl: vec![twin], ..pipe.clone() };
        self.pipe(&mut pipe)?;
        let last = pipe.commands.last_mut().filter(|last| last.args.len() == 1);
        if !last.is_some_and(|last| self.name(&mut last.args[0])) {
            pipe.commands.push(call(pipe.pos, TYPED));
        }
        Ok(Some(ActionNode { pos: pipe.pos, pipe }))
    }

    /// Computes what an assignment sets in an action of its own, which comes before the twin is set: the assignment may
    /// read the variable, as it was.
    fn ahead(&self, pipe: &mut PipeNode) -> Result<ActionNode, String> {
        let pos = pipe.pos;
        let name = self.unheard(&pipe.decl[0]);
        let read = CommandNode { pos, args: vec![Expr::Variable(pos, name.clone(), Vec::new())] };
        let commands = std::mem::replace(&mut pipe.commands, vec![read]);
        let mut pipe = PipeNode { pos, decl: vec![name], commands, is_assign: false };
        self.pipe(&mut pipe)?;
        Ok(ActionNode { pos, pipe })
    }

    /// A name that nobody can type.
    fn unheard(&self, name: &SmolStr) -> SmolStr {
        self.twins.set(self.twins.get() + 1);
        format!("{name}\u{1}{}", self.twins.get()).into()
    }

    fn twin_of(&self, name: &SmolStr) -> Option<SmolStr> {
        let variables = self.variables.borrow();
        variables.iter().rev().find(|(known, _)| known == name).and_then(|(_, twin)| twin.clone())
    }

    /// Makes a field or a variable that is read one that is read with its type; `false` if it is something else.
    fn name(&self, expr: &mut Expr) -> bool {
        match expr {
            Expr::Variable(_, name, fields) if fields.is_empty() => match self.twin_of(name) {
                Some(twin) => {
                    *name = twin;
                    true
                }
                None => false,
            },
            other => name_field(other),
        }
    }

    fn node(&self, node: &mut Node, in_range: bool, twin: Option<SmolStr>) -> Result<(), String> {
        match node {
            Node::List(list) => self.list(list, in_range),
            Node::Action(action) => {
                self.pipe(&mut action.pipe)?;
                if action.pipe.decl.is_empty() {
                    action.pipe.commands.push(call(action.pos, SHOWN));
                } else if !action.pipe.is_assign {
                    self.declare(&action.pipe, &twin);
                }
                Ok(())
            }
            Node::If(branch) | Node::With(branch) => self.branch(branch, in_range, in_range, twin),
            Node::Range(branch) => {
                self.branch(branch, true, in_range, None)?;
                branch.pipe.commands.push(call(branch.pos, ITERABLE));
                Ok(())
            }
            Node::Template(template) => template.pipe.as_mut().map_or(Ok(()), |pipe| self.pipe(pipe)),
            Node::Define(define) => self.list(&mut define.body, false),
            Node::Break(_) if !in_range => Err("{{break}} outside {{range}}".to_owned()),
            Node::Continue(_) if !in_range => Err("{{continue}} outside {{range}}".to_owned()),
            Node::Text(_) | Node::Break(_) | Node::Continue(_) => Ok(()),
        }
    }

    fn branch(
        &self,
        branch: &mut BranchNode,
        body_in_range: bool,
        in_range: bool,
        twin: Option<SmolStr>,
    ) -> Result<(), String> {
        self.pipe(&mut branch.pipe)?;
        let outside = self.variables.borrow().len();
        self.declare(&branch.pipe, &twin);
        self.list(&mut branch.body, body_in_range)?;
        branch.else_body.as_mut().map_or(Ok(()), |body| self.list(body, in_range))?;
        self.variables.borrow_mut().truncate(outside);
        Ok(())
    }

    fn declare(&self, pipe: &PipeNode, twin: &Option<SmolStr>) {
        self.variables.borrow_mut().extend(pipe.decl.iter().map(|name| (name.clone(), twin.clone())));
    }

    fn pipe(&self, pipe: &mut PipeNode) -> Result<(), String> {
        for mut command in std::mem::take(&mut pipe.commands) {
            let wrap = wrapping(&command.args[0]);
            if let Some(wrap) = wrap
                && let Some(before) = pipe.commands.last_mut()
                && !(wrap == TYPED && before.args.len() == 1 && self.name(&mut before.args[0]))
            {
                pipe.commands.push(call(command.pos, wrap));
            }
            self.command(&mut command, wrap)?;
            pipe.commands.push(command);
        }
        Ok(())
    }

    fn command(&self, command: &mut CommandNode, wrap: Option<&str>) -> Result<(), String> {
        let node =
            matches!(&command.args[0], Expr::Identifier(_, name) if name == "index").then(|| spell(&command.args));
        for arg in &mut command.args {
            self.expr(arg)?;
        }
        for arg in command.args.iter_mut().skip(1) {
            let Some(wrap) = wrap.filter(|wrap| *wrap != TYPED || !self.name(arg)) else { continue };
            let args = vec![Expr::Identifier(command.pos, wrap.into()), arg.clone()];
            *arg = calling(command.pos, args);
        }
        if let Some(node) = node {
            command.args[0] = Expr::Identifier(command.pos, INDEX.into());
            command.args.splice(1..1, self.place(command.pos, command.pos.offset, &node));
        }
        Ok(())
    }

    fn expr(&self, expr: &mut Expr) -> Result<(), String> {
        let (pos, inner, fields, node) = match &mut *expr {
            Expr::Pipe(_, pipe) => return self.pipe(pipe),
            Expr::Identifier(_, name) if !BUILTIN.contains(&name.as_str()) && !(self.known)(name) => {
                return Err(format!("function {:?} not defined", name.as_str()));
            }
            Expr::Field(pos, fields) => (*pos, Expr::Dot(*pos), fields, String::new()),
            Expr::Variable(pos, name, fields) if !fields.is_empty() => {
                (*pos, Expr::Variable(*pos, name.clone(), Vec::new()), fields, name.to_string())
            }
            Expr::Chain(pos, inner, fields) => {
                let node = spell(std::slice::from_ref(&**inner));
                self.expr(inner)?;
                (*pos, (**inner).clone(), fields, node)
            }
            _ => return Ok(()),
        };
        let node = fields.iter().fold(node, |node, field| format!("{node}.{field}"));
        let at = self.place_of(pos, &inner, fields);
        let mut args = vec![Expr::Identifier(pos, FIELD.into())];
        args.extend(self.place(pos, at, &node));
        args.push(inner);
        args.extend(fields.iter().map(|field| Expr::String(pos, field.as_str().into())));
        *expr = calling(pos, args);
        Ok(())
    }

    /// Where Go says that a chain of fields is: at the second part of it, if there is one.
    fn place_of(&self, pos: Pos, inner: &Expr, fields: &[SmolStr]) -> usize {
        match inner {
            Expr::Dot(_) if fields.len() > 1 => pos.offset + 1 + fields[0].len(),
            Expr::Variable(_, name, _) => pos.offset + name.len(),
            Expr::Pipe(..) => {
                let end = format!(").{}", fields[0]);
                let after = self.source.get(pos.offset..).and_then(|rest| rest.find(&end));
                after.map_or(pos.offset, |after| pos.offset + after + 1)
            }
            _ => pos.offset,
        }
    }

    /// What a function has to know to say where it failed: line, column, and the part of the template.
    fn place(&self, pos: Pos, offset: usize, node: &str) -> [Expr; 2] {
        let before = self.source.get(..offset).unwrap_or_default();
        let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1);
        let place = format!("{}:{column}", 1 + before.matches('\n').count());
        [Expr::String(pos, place.into()), Expr::String(pos, node.into())]
    }
}

/// What a node computes before anything else.
fn piped(node: &mut Node) -> Option<&mut PipeNode> {
    match node {
        Node::Action(ActionNode { pipe, .. })
        | Node::If(BranchNode { pipe, .. })
        | Node::With(BranchNode { pipe, .. }) => Some(pipe),
        _ => None,
    }
}

/// What a function gets its values through, if it prints them.
fn wrapping(function: &Expr) -> Option<&'static str> {
    match function {
        Expr::Identifier(_, name) if TYPING.contains(&name.as_str()) => Some(TYPED),
        Expr::Identifier(_, name) if PRINTING.contains(&name.as_str()) => Some(PRINTABLE),
        _ => None,
    }
}

/// Makes a field that is read one that is read with its type; `false` if it is something else.
fn name_field(expr: &mut Expr) -> bool {
    match expr {
        Expr::Pipe(_, pipe) if pipe.commands.len() == 1 => match pipe.commands[0].args.first_mut() {
            Some(Expr::Identifier(_, name)) if name == FIELD => {
                *name = TYPED_FIELD.into();
                true
            }
            _ => false,
        },
        _ => false,
    }
}

fn call(pos: Pos, name: &str) -> CommandNode {
    CommandNode { pos, args: vec![Expr::Identifier(pos, name.into())] }
}

fn calling(pos: Pos, args: Vec<Expr>) -> Expr {
    let commands = vec![CommandNode { pos, args }];
    Expr::Pipe(pos, PipeNode { pos, decl: Vec::new(), commands, is_assign: false })
}

/// A command as Go writes it into errors.
fn spell(args: &[Expr]) -> String {
    let words = args.iter().map(|arg| match arg {
        Expr::Dot(_) => ".".to_owned(),
        Expr::Field(_, fields) => dotted(fields),
        Expr::Variable(_, name, fields) => format!("{name}{}", dotted(fields)),
        Expr::Identifier(_, name) => name.to_string(),
        Expr::String(_, text) => format!("{text:?}"),
        Expr::Number(_, Number::Int(number)) => number.to_string(),
        Expr::Number(_, Number::Uint(number)) => number.to_string(),
        Expr::Number(_, Number::Float(number)) => number.to_string(),
        Expr::Bool(_, value) => value.to_string(),
        Expr::Nil(_) => Value::Nil.to_string().trim_matches(['<', '>']).to_owned(),
        Expr::Pipe(_, pipe) => {
            let commands: Vec<String> = pipe.commands.iter().map(|command| spell(&command.args)).collect();
            format!("({})", commands.join(" | "))
        }
        Expr::Chain(_, inner, fields) => format!("{}{}", spell(std::slice::from_ref(&**inner)), dotted(fields)),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn dotted(fields: &[SmolStr]) -> String {
    fields.iter().map(|field| format!(".{field}")).collect()
}

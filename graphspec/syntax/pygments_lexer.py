"""The Pygments lexer of `.gspec`, found by its entry point; the only module that imports Pygments."""

from __future__ import annotations

from typing import Any, ClassVar

from pygments.lexer import RegexLexer, bygroups, default, include
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Whitespace

from graphspec.syntax import highlight
from graphspec.syntax.highlight import NAME, NUMBER, PATH, either

_BLANK = r"([ \t]+)"
_DECLARED = r"(?=[ \t]*(?:[:=~\[,#\r\n]|as\b|$))"


class GspecLexer(RegexLexer):  # type: ignore[misc]  # pygments has no types
    """Words of statements are words only where a statement starts; elsewhere they are names."""

    name = "graphspec"
    aliases: ClassVar[list[str]] = ["gspec", "graphspec"]
    filenames: ClassVar[list[str]] = ["*.gspec"]

    tokens: ClassVar[dict[str, Any]] = {
        "root": [
            (rf"(gspec){_BLANK}([0-9]+)\b", bygroups(Keyword.Namespace, Whitespace, Number.Integer), "line"),
            (r"\}", Punctuation),
            include("statement"),
        ],
        "body": [
            (r"\}", Punctuation, "#pop"),
            include("statement"),
        ],
        "statement": [
            (r"[ \t\r\n\f]+", Whitespace),
            (r"##(?!#)[^\n]*", String.Doc),
            (r"#[^\n]*", Comment.Single),
            (
                rf"({either(highlight.defining())}){_BLANK}({NAME})",
                bygroups(Keyword.Declaration, Whitespace, Name.Function),
                "line",
            ),
            (rf"(dim\b){_BLANK}(?=[A-Za-z_])", bygroups(Keyword.Declaration, Whitespace), "sizes"),
            (
                rf"({either(highlight.declaring())}){_BLANK}({PATH}){_DECLARED}",
                bygroups(Keyword.Declaration, Whitespace, Name.Variable),
                "line",
            ),
            (rf"{either(highlight.declaring())}(?=[ \t]+[A-Za-z_*\"])", Keyword.Declaration, "line"),
            (rf"{either(highlight.in_bodies())}(?![ \t]*(?:[=,:.]|$))", Keyword, "line"),
            (
                rf"{either(highlight.gradients())}(?=[ \t]*\([^()\n]*\)[ \t]*{NAME}[ \t]*=)",
                Keyword.Declaration,
                "line",
            ),
            default("line"),
        ],
        "sizes": [
            (r"where\b(?=[ \t]+[A-Za-z_0-9(-])", Keyword),
            include("line"),
        ],
        "line": [
            (r"\n", Whitespace, "#pop"),
            (r"(?=\})", Punctuation, "#pop"),
            (r"\{", Punctuation, "body"),
            include("expression"),
        ],
        "brackets": [
            (r"[)\]]", Punctuation, "#pop"),
            (r"\n", Whitespace),
            (rf"({NAME})([ \t]*)(=)(?!=)", bygroups(Name.Attribute, Whitespace, Operator)),
            (rf"({NAME}){_BLANK}(in)\b", bygroups(Name.Variable, Whitespace, Keyword)),
            include("expression"),
        ],
        "expression": [
            (r"[ \t\r\f]+", Whitespace),
            (r"#[^\n]*", Comment.Single),
            (r'"[^"\n]*"', String.Double),
            (NUMBER, Number),
            (rf"(as){_BLANK}({PATH})", bygroups(Keyword, Whitespace, Name.Label)),
            (either(highlight.control()), Keyword),
            (either(highlight.constants()), Keyword.Constant),
            (either(highlight.logic()), Operator.Word),
            (rf"(:)([ \t]*)({either(highlight.STATIC)})", bygroups(Punctuation, Whitespace, Keyword.Type)),
            (rf"{either(highlight.DTYPES)}(?![ \t]*[(.])", Keyword.Type),
            (rf"(->)([ \t]*)({either(highlight.DTYPES)})", bygroups(Operator, Whitespace, Keyword.Type)),
            (rf"(->)([ \t]*)({PATH})", bygroups(Operator, Whitespace, Name.Function)),
            (rf"{PATH}(?=[ \t]*\()", Name.Function),
            (rf"{either(highlight.KNOWN)}(?!\.)", Name.Builtin),
            (PATH, Name),
            (r"[(\[]", Punctuation, "brackets"),
            (r"->|\*\*|//|==|!=|<=|>=|\.\.\.?|[-+*/%@<>=~]", Operator),
            (r"[,:.]", Punctuation),
        ],
    }

"""The shape of our commands: loaded when they are called, and each with an example in its help."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem

REST = "afx.rest"
"""Where a command with `takes_rest` finds what stood after ``--``, in ``Context.meta``."""


class Lazy(NamedTuple):
    """A command that is not imported yet.

    Attributes:
        attribute: Where it is, as ``"module:attribute"``, the module relative to this package.
        help: One line about it.
    """

    attribute: str
    help: str


class Command(click.Command):
    """A command with an example, and where asked with arguments after ``--`` that are not its own."""

    def __init__(self, *args: Any, example: str = "", takes_rest: bool = False, **attributes: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **attributes)
        self.example = example
        self._takes_rest = takes_rest

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Set aside what stands after ``--``, so that it is not taken for an argument that was left out."""
        if self._takes_rest and "--" in args:
            cut = args.index("--")
            ctx.meta[REST] = tuple(args[cut + 1 :])
            args = args[:cut]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Return the pieces of the usage line."""
        return [*super().collect_usage_pieces(ctx), *(["[-- ARGS...]"] if self._takes_rest else [])]

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the example."""
        _write_example(formatter, self.example)


class LazyGroup(click.Group):
    """A group that imports a command when it is called, and needs none of them to print its help."""

    def __init__(
        self,
        *args: Any,  # noqa: ANN401
        lazy: Mapping[str, Lazy] | None = None,
        example: str = "",
        **attributes: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*args, **attributes)
        self.lazy = dict(lazy or {})
        self.example = example

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names in the order of the table."""
        return [*self.lazy, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported now."""
        if (entry := self.lazy.get(cmd_name)) is None:
            return super().get_command(ctx, cmd_name)
        import importlib

        module, _, attribute = entry.attribute.partition(":")
        command: click.Command = getattr(importlib.import_module(f"{__package__}.{module}"), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called, or say what comes near its name."""
        name = args[0]
        if name not in self.lazy and super().get_command(ctx, name) is None and not name.startswith("-"):
            import difflib

            near = difflib.get_close_matches(name, self.list_commands(ctx), n=1)
            path = ctx.command_path
            hint = f"Did you mean `{path} {near[0]}`?" if near else f"`{path} --help` lists the commands."
            from afx.api.errors import BadInputError

            raise BadInputError(f"There is no command `{path} {name}`.", hint=hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands from the table."""
        rows = [(name, entry.help) for name, entry in self.lazy.items()]
        rows += [(name, self.commands[name].get_short_help_str(formatter.width)) for name in self.commands]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the example."""
        _write_example(formatter, self.example)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command without importing any."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        helps = {name: entry.help for name, entry in self.lazy.items()}
        return [
            CompletionItem(name, help=helps.get(name))
            for name in self.list_commands(ctx)
            if name.startswith(incomplete)
        ]


class DefaultGroup(LazyGroup):
    """A group of which one command is meant where none is named.

    Args:
        default: The name of that command.
        complete: Completes the argument of that command.
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401
        default: str,
        complete: Callable[[click.Context, click.Parameter, str], list[CompletionItem]],
        **attributes: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*args, **attributes)
        self._default = default
        self._complete = complete

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the name of the default command where none stands."""
        if args and args[0] not in {*self.list_commands(ctx), *ctx.help_option_names}:
            args = [self._default, *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command, or the argument of the default one."""
        parameter = self.commands[self._default].params[0]
        return [*super().shell_complete(ctx, incomplete), *self._complete(ctx, parameter, incomplete)]


def _write_example(formatter: click.HelpFormatter, example: str) -> None:
    if example:
        with formatter.section("Example"):
            for line in example.strip().splitlines():
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")

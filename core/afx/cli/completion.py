"""The command that prints a shell's completion script."""

from __future__ import annotations

import click

from afx.api.errors import BadInputError

from .commands import Command


@click.command(
    cls=Command,
    example="""\
afx completion bash > ~/.local/share/bash-completion/completions/afx
afx completion zsh > ~/.zfunc/_afx
afx completion fish > ~/.config/fish/completions/afx.fish
""",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), metavar="SHELL")
@click.pass_context
def completion(context: click.Context, *, shell: str) -> None:
    """Print the completion script of a shell. It completes commands, options and names of agents."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise BadInputError(f"There is no completion for {shell}.", hint="There is for bash, zsh and fish.")
    click.echo(kind(context.find_root().command, {}, "afx", "_AFX_COMPLETE").source())

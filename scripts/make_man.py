#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the xdplane authors
"""usage: scripts/make_man.py XDPLANE MAN COMPLETION

Writes the manual page xdplane(1) and the completion for bash from what XDPLANE says with --help, so that neither
can tell anything else. The build runs it.
"""

import re
import subprocess
import sys


def ask(*words):
    """The program's output."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    return done.stdout


def commands_in(text):
    """(name, arguments, summary) of the list behind "Commands:"."""
    part = text.split("\nCommands:\n", 1)
    if len(part) == 1:
        return []
    rows = []
    for line in part[1].split("\n\n", 1)[0].splitlines():
        match = re.match(r"  ([a-z][a-z-]*)((?: [A-Z]+)*) +(\S.*)$", line)
        if match:
            rows.append((match[1], match[2].strip(), match[3]))
    return rows


def options_in(text):
    """Rows of the list behind "Options:": [short, long, argument, text]."""
    rows = []
    for line in text.partition("\nOptions:\n")[2].split("\n\n", 1)[0].splitlines():
        match = re.match(r"  (?:-(\w) \[ )?--([a-z-]+)(?: \])?(?: ([A-Za-z]+))?(?: \(=([^)]*)\))?(?:  *(\S.*))?$", line)
        if match:
            argument = match[3] if match[3] != "arg" else match[2].split("-")[-1].upper()
            note = f" (default: {match[4]})" if match[4] else ""
            rows.append([match[1], match[2], argument, (match[5] or "").strip() + note])
        elif rows:
            rows[-1][3] = (rows[-1][3] + " " + line.strip()).strip()
    return rows


def escape(text):
    """Text as roff takes it."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return re.sub(r"^([.])", r"\\&\1", text, flags=re.M)


def verbatim(text):
    return f".nf\n{escape(text)}\n.fi\n"


def manual(program, version, top, helps):
    intro = top.split("\n\n")[1].replace("\n", " ")
    page = [f'.TH XDPLANE 1 "" "xdplane {version}" "User Commands"\n.SH NAME\n']
    page.append("xdplane \\- packet filtering with BPF programs in user space\n.SH SYNOPSIS\n")
    for name in helps:
        usage = helps[name].splitlines()[0].removeprefix("usage: ")
        page.append(f".PP\n.B xdplane {escape(name)}\n{escape(usage.removeprefix(f'xdplane {name} '))}\n")
    page.append(f".SH DESCRIPTION\n{escape(intro)}\n.SH COMMANDS\n")
    summaries = {name: summary for name, _, summary in commands_in(top)}
    for name, text in helps.items():
        summaries.update({f"{name} {sub}": summary for sub, _, summary in commands_in(text)})
    for name, text in helps.items():
        page.append(f".SS xdplane {escape(name)}\n{escape(summaries[name][0].upper() + summaries[name][1:])}.\n")
        before, _, rest = text.partition("\nOptions:\n")
        page.append(".PP\n" + verbatim("\n".join(before.splitlines()[2:]).rstrip()))
        for short, option, argument, what in options_in(text):
            flags = (f"\\-{short}, " if short else "") + "\\-\\-" + escape(option)
            page.append(f".TP\n.B {flags}{' ' + escape(argument) if argument else ''}\n{escape(what)}\n")
        behind = rest.split("\n\n", 1)
        if len(behind) == 2 and behind[1].strip():
            page.append(".PP\n" + verbatim(behind[1].strip("\n")))
    page.append(".SH EXIT STATUS\n0 success, 1 refusal or failure, 2 bad usage.\n")
    page.append(".SH FILES\n.TP\n.I /etc/xdplane/xdplane.toml\nthe configuration of the service\n")
    page.append(".SH SEE ALSO\n.BR systemctl (1),\n.BR bpftool (8),\n.BR tcpdump (8)\n")
    return "".join(page)


COMPLETION = """# SPDX-License-Identifier: BSD-3-Clause
# bash completion of xdplane, made by scripts/make_man.py
_xdplane() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} command=${{COMP_WORDS[1]-}} words
    COMPREPLY=()
    if [[ $COMP_CWORD == 1 ]]; then
        words='{commands} --help --version'
    else
{subcommands}        case $command in
{cases}        *) return ;;
        esac
        [[ $word == -* ]] || words=${{words##*|}}
        words=${{words//|/ }}
        # Files, where a command has no words of its own, and in options' arguments.
        [[ $word == -* || -n ${{words// /}} ]] || return
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}}
complete -o default -F _xdplane xdplane
"""


def completion(top, helps):
    cases = []
    subcommands = []
    for name, text in helps.items():
        options = " ".join("--" + row[1] for row in options_in(text))
        own = " ".join(row[0] for row in commands_in(text))
        cases.append(f"        '{name}') words='{options}|{own}' ;;\n")
        if " " in name:
            command, sub = name.split()
            subcommands.append(f"        [[ $command == {command} && \" ${{COMP_WORDS[*]}} \" == *' {sub} '* ]] && "
                               f"command='{name}'\n")
    return COMPLETION.format(commands=" ".join(row[0] for row in commands_in(top)), cases="".join(cases),
                             subcommands="".join(subcommands))


def all_helps(program, top):
    """--help of every command, and of those among a command's own that have one."""
    helps = {}
    for name, _, _ in commands_in(top):
        helps[name] = ask(program, name, "--help")
        for sub, _, summary in commands_in(helps[name]):
            if f"`xdplane {name} {sub} --help`" in summary:
                helps[f"{name} {sub}"] = ask(program, name, sub, "--help")
    return helps


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__.strip())
    program, man_file, completion_file = sys.argv[1:]
    top = ask(program, "--help")
    version = ask(program, "--version").split()[1]
    helps = all_helps(program, top)
    with open(man_file, "w", encoding="utf-8") as file:
        file.write(manual(program, version, top, helps))
    with open(completion_file, "w", encoding="utf-8") as file:
        file.write(completion(top, helps))


main()

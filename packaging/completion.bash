# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Completion of ecbpf's tools in bash. What there is to complete is read from --help, which each
# tool prints from the tables that it parses its arguments with.

# __ecbpf_words SECTION: the first words of a section of the help on standard input; of options
# the long ones
__ecbpf_words()
{
	awk -v section="$1:" '
		/^[^ ]/ { inside = $0 == section; next }
		!inside { next }
		section != "Options:" { if (/^  [a-z]/) print $1; next }
		/^ +-/ { for (i = 1; i <= 2; i++) if ($i ~ /^--/) print $i }'
}

# __ecbpf_subverbs: the alternatives that a help begins with, "[OPTION]... add X | list"
__ecbpf_subverbs()
{
	sed '/^$/q' | tr '\n' ' ' | sed 's/^.*\[OPTION\]\.\.\. *//' | tr '|' '\n' |
		awk '$1 ~ /^[a-z]+$/ { print $1 }'
}

# __ecbpf_argument HELP OPTION: what the help calls the option's argument; nothing if it has none
__ecbpf_argument()
{
	awk -v option="$2" '/^ +-/ {
		for (i = 1; i <= 2; i++) {
			name = $i
			sub(/,$/, "", name)
			if (name == option) {
				last = $i ~ /,$/ ? $(i + 2) : $(i + 1)
				if (last ~ /^[A-Z]+$|\|/) print last
				exit
			}
		}
	}' <<<"$1"
}

# __ecbpf_values KEY: the values of a setting in the help on standard input
__ecbpf_values()
{
	awk -v key="  $1=" 'index($0, key) == 1 && /\|/ {
		sub(/^[^=]*=/, "")
		sub(/ .*/, "")
		gsub(/\|/, " ")
		print
	}'
}

_ecbpf()
{
	local tool=$1 word=$2 previous=$3 verb='' help argument='' i

	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		[[ ${COMP_WORDS[i]} == -* ]] || { verb=${COMP_WORDS[i]}; break; }
	done
	help=$("$tool" --help 2>/dev/null)
	if [[ $help == "Usage: "*" VERB "* ]]; then
		if [[ ! $verb || $verb == help ]]; then
			mapfile -t COMPREPLY < <(compgen -W "$(__ecbpf_words Verbs <<<"$help")" \
				-- "$word")
			return
		fi
		help=$("$tool" "$verb" --help 2>/dev/null) || return
		((i++))
	fi
	[[ $previous != -* ]] || argument=$(__ecbpf_argument "$help" "$previous")
	case $argument in
	FILE | PCAP | DIR) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
	MODE) mapfile -t COMPREPLY < <(compgen -W "native skb unspecified" -- "$word"); return ;;
	*"|"*) mapfile -t COMPREPLY < <(compgen -W "${argument//|/ }" -- "$word"); return ;;
	IFACE | LIST | '') ;;
	*) return ;;
	esac
	# bash takes KEY=VALUE for three words
	i=$((COMP_CWORD - i))
	if [[ ${COMP_WORDS[COMP_CWORD]} == "=" || ($i -gt 0 && $previous == "=") ]]; then
		[[ $previous == "=" ]] && previous=${COMP_WORDS[COMP_CWORD - 2]}
		mapfile -t COMPREPLY < <(compgen -W "$(__ecbpf_values "$previous" <<<"$help")" \
			-- "${word#=}")
	elif [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(__ecbpf_words Options <<<"$help")" -- "$word")
	elif ((!i)) && [[ $(__ecbpf_subverbs <<<"$help") == *$'\n'* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(__ecbpf_subverbs <<<"$help"
			__ecbpf_words Settings <<<"$help" | sed 's/=.*/=/')" -- "$word")
		[[ ${COMPREPLY[*]} != *= ]] || compopt -o nospace
	elif [[ $help == *$'\nSettings:\n'* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(__ecbpf_words Settings <<<"$help" |
			sed 's/=.*/=/')" -- "$word")
		compopt -o nospace
	elif [[ $help == *IFACE* ]]; then
		mapfile -t COMPREPLY < <(cd /sys/class/net && compgen -f -- "$word")
		[[ $help != *PROGRAM* && $help != *FILE* ]] || compopt -o default
	else
		compopt -o default
	fi
}

complete -F _ecbpf ecbpf-fastpath ecbpf-filter ecbpf-fw ecbpf-loader ecbpf-pcap ecbpf-sampler

# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Completion of ecbpf's tools in bash. What there is to complete is read from --help, which each
# tool prints from the tables that it parses its arguments with. Names of live rules and sets and
# tags are asked of the tool; whoever may not know them is offered none.

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

# __ecbpf_unquote RAW: into $value, what the shell makes of the beginning of a word, without
# expansions; into $quote, the quote that it leaves open
__ecbpf_unquote()
{
	local raw=$1 c i

	value='' quote=''
	for ((i = 0; i < ${#raw}; i++)); do
		c=${raw:i:1}
		case $quote$c in
		\' | \") quote=$c ;;
		"''" | '""') quote='' ;;
		\\ | \"\\) c=${raw:i + 1:1} i=$((i + 1))
			[[ ! $quote || $c == [\"\\\$\`] ]] || value+=\\
			value+=$c ;;
		*) value+=$c ;;
		esac
	done
}

# __ecbpf_split: the command line up to the cursor into $words, as bash does it but for operators;
# the last one, which is completed, into $raw as it is written
__ecbpf_split()
{
	local line=${COMP_LINE:0:COMP_POINT} c quote='' value i

	words=() raw=''
	for ((i = 0; i < ${#line}; i++)); do
		c=${line:i:1}
		if [[ $quote ]]; then
			[[ $c != "$quote" ]] || quote=''
		elif [[ $c == [\'\"] ]]; then
			quote=$c
		elif [[ $c == [[:blank:]] ]]; then
			if [[ $raw ]]; then
				__ecbpf_unquote "$raw"
				words+=("$value")
			fi
			raw=''
			continue
		fi
		raw+=$c
		if [[ $c == \\ && $quote != \' ]]; then
			raw+=${line:i + 1:1} i=$((i + 1))
		fi
	done
	# what is left is completed, be it nothing
	__ecbpf_unquote "$raw"
	words+=("$value")
}

# __ecbpf_offer TEXT: lines of standard input that the word may become. TEXT: the part of it that
# readline replaces, which begins behind a quote, and behind characters such as "="
__ecbpf_offer()
{
	local text=$1 word value quote head name

	[[ $text != [:=] ]] || text=''
	((${#text} <= ${#raw})) || text=$raw
	__ecbpf_unquote "${raw:0:${#raw} - ${#text}}"
	head=$value
	__ecbpf_unquote "$raw"
	word=$value
	while IFS= read -r name; do
		[[ $name == "$word"* ]] || continue
		name=${name:${#head}}
		case $quote in
		\') name=${name//\'/\'\\\'\'} ;;
		\") name=${name//\\/\\\\} name=${name//\"/\\\"} name=${name//\$/\\\$}
			name=${name//\`/\\\`} name=${name//!/\"\'!\'\"} ;;
		*) printf -v name %q "$name" ;;
		esac
		# readline closes the quote, but behind one
		[[ ! $quote || $name != *"$quote" ]] || name+=$quote
		COMPREPLY+=("$name")
	done
}

# __ecbpf_live TOOL ARGUMENT...: what is live, one a line; nothing if it may not or takes long
__ecbpf_live() { timeout 1 "$@" </dev/null 2>/dev/null || :; }

# __ecbpf_names TOOL VERB OPERAND: what may come behind the operand; false if no name does
__ecbpf_names()
{
	case ${1##*/}:$2:$3 in
	ecbpf-fw:rule:insert | ecbpf-fw:rule:replace | ecbpf-fw:rule:delete)
		__ecbpf_live "$1" rule list --names ;;
	ecbpf-fw:set:add | ecbpf-fw:set:delete | ecbpf-fw:set:replace | ecbpf-fw:set:list | \
		ecbpf-fw:set:flush | ecbpf-fw:set:destroy) __ecbpf_live "$1" set list --names ;;
	*) return 1 ;;
	esac
}

__ecbpf_ifaces()
{
	local path

	for path in /sys/class/net/*/; do
		path=${path%/}
		[[ ! -d $path ]] || printf '%s\n' "${path##*/}"
	done
}

_ecbpf()
{
	local tool=$1 word=$2 previous=$3 verb='' help argument='' words raw operands=() names i k

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
	__ecbpf_split
	while ((${#words[@]} > 1)) && [[ ${words[0]} != "${verb:-$tool}" ]]; do
		words=("${words[@]:1}")
	done
	for ((k = 1; k < ${#words[@]} - 1; k++)); do
		if [[ ${words[k]} != -* ]]; then
			operands+=("${words[k]}")
		elif [[ $(__ecbpf_argument "$help" "${words[k]}") ]]; then
			((k++))
		fi
	done
	[[ $previous != -* ]] || argument=$(__ecbpf_argument "$help" "$previous")
	case $argument in
	FILE | PCAP | CAPTURE | DIR) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
	MODE) mapfile -t COMPREPLY < <(compgen -W "native skb unspecified" -- "$word"); return ;;
	*"|"*) mapfile -t COMPREPLY < <(compgen -W "${argument//|/ }" -- "$word"); return ;;
	TAG) __ecbpf_offer "$word" < <(__ecbpf_live "$tool" "$verb" list --tags); return ;;
	IFACE | LIST | '') ;;
	*) return ;;
	esac
	if [[ ${#operands[@]} == 1 && $word != -* ]] &&
		names=$(__ecbpf_names "$tool" "$verb" "${operands[0]}"); then
		[[ ! $names ]] || __ecbpf_offer "$word" <<<"$names"
		return
	fi
	# bash takes KEY=VALUE for three words
	i=$((COMP_CWORD - i))
	if [[ ${COMP_WORDS[COMP_CWORD]} == "=" || ($i -gt 0 && $previous == "=") ]]; then
		[[ $previous == "=" ]] && previous=${COMP_WORDS[COMP_CWORD - 2]}
		mapfile -t COMPREPLY < <(compgen -W "$(__ecbpf_values "$previous" <<<"$help")" \
			-- "${word#=}")
	elif [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(__ecbpf_words Options <<<"$help")" -- "$word")
	elif ((!${#operands[@]})) && [[ $(__ecbpf_subverbs <<<"$help") == *$'\n'* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(__ecbpf_subverbs <<<"$help"
			__ecbpf_words Settings <<<"$help" | sed 's/=.*/=/')" -- "$word")
		[[ ${COMPREPLY[*]} != *= ]] || compopt -o nospace
	elif [[ $help == *$'\nSettings:\n'* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(__ecbpf_words Settings <<<"$help" |
			sed 's/=.*/=/')" -- "$word")
		compopt -o nospace
	elif [[ $help == *IFACE* ]]; then
		__ecbpf_offer "$word" < <(__ecbpf_ifaces)
		[[ $help != *PROGRAM* && $help != *FILE* ]] || compopt -o default
	else
		compopt -o default
	fi
}

complete -F _ecbpf ecbpf-fastpath ecbpf-filter ecbpf-fw ecbpf-loader ecbpf-pcap ecbpf-sampler

"""Reads the texts that the search encoder learns from out of Debian packages.

Everything is in Debian's main archive, so its licence allows any use; the text itself is not
redistributed. The packages' files are read where apt-get download puts them; nothing is installed.

| source | packages | licences |
|---|---|---|
| manual pages | MANUALS below | each package's: GPL, BSD, MIT and others, listed in the manifest |
| package descriptions | the lists of apt | each package's |
| WordNet | wordnet-base | WordNet licence (permissive, attribution) |
| dictionaries | dict-gcide, dict-foldoc, -jargon, -vera | GPL-3, GFDL, public domain, GFDL |
| documentation | DOCUMENTS below | each package's: GPL, PSF, MIT, Apache-2.0 and others |

RFCs are not used: Debian has them in non-free only.
"""

import bz2
import gzip
import html.parser
import json
import multiprocessing
import os
import re
import subprocess
import tarfile

# Packages with manual pages.
MANUALS = """
a2ps acl aide alpine alsa-utils amanda-common anacron ansible apache2-bin apache2-utils apparmor
apt apt-utils aptitude-common aria2 aspell astyle at attr auditd autoconf automake bacula-common
bash bc bind9-dnsutils bind9-host bind9-utils binutils-common bison bonnie++ borgbackup
bridge-utils bsd-mailx bsdextrautils bsdgames bsdmainutils bsdutils btrfs-progs buildah bzip2 bzr
calendar cdparanoia chkrootkit chrony cifs-utils clang-format-14 cmake-data conntrack console-setup
coreutils cowsay cpio cpp-12 cron cryptsetup-bin cscope cups-bsd cups-client cups-daemon curl cvs
dash dc debhelper debootstrap devscripts dialog dict diffutils dirmngr dnsmasq-base doas
docbook-utils docker.io dos2unix dosfstools dpkg dpkg-dev dstat duplicity dvd+rw-tools dvipng
e2fsprogs ebtables ed eject elinks enca enscript equivs ethtool exim4-base expect extundelete
fail2ban fakeroot fdisk feh fetchmail ffmpeg figlet file findutils fio flac flex fluxbox fontconfig
fonttools fortune-mod ftp gawk gcc-12 gdb gddrescue gdisk genisoimage gettext ghostscript gimp
git-lfs git-man git-svn global gnupg gnupg-utils gnuplot-nox gpg gpg-agent gpgsm graphicsmagick
grep groff groff-base guile-3.0 gzip haproxy hashcat hdparm hostname htop hunspell-tools i3-wm
iftop imagemagick-6.q16 indent inetutils-ftp inetutils-telnet inkscape iotop iperf3 iproute2 ipset
iptables iputils-ping iputils-tracepath irssi isc-dhcp-client iw john jq kbd kmod krb5-user
ksh93u+m lame ldap-utils less lftp libacl1-dev libaio-dev libarchive-dev libattr1-dev libaudit-dev
libbsd-dev libc-bin libc-dev-bin libcap-dev libcap2-bin libcurl4-doc libdpkg-perl libedit-dev
libevent-dev libibverbs-dev libimage-exiftool-perl libjpeg-turbo-progs libmagic-dev libmd-dev
libnl-3-dev libpam-modules libpam-runtime libpcap0.8-dev libpcre2-dev libseccomp-dev libssh2-1-dev
libssl-doc libsystemd-dev libtiff-doc libtiff-tools libtirpc-dev libtool libvirt-clients libx11-doc
libxext-dev libxml2-utils libxt-dev links lintian linux-perf llvm-14 locales login logrotate lsof
ltrace lua5.4 lvm2 lxc lynis lynx lz4 m4 mailutils make man-db manpages manpages-dev mariadb-client
mariadb-server mawk maxima mdadm memcached memtester mercurial-common moreutils mount mplayer mpv
msmtp mtools mtr-tiny mupdf-tools mutt nano ncal ncdu ncurses-doc neomutt net-tools netcat-openbsd
nethogs netpbm network-manager newsboat nfs-common nftables nginx-common nis nmap ntfs-3g ntpsec
octave openbox openssh-client openssh-server openssl openvpn p7zip-full pandoc parallel parted
passwd patch pbuilder perl perl-doc php8.2-cli pkgconf podman poppler-utils postfix postgresql-15
postgresql-client-15 postgresql-doc-15 procmail procps psmisc psutils pulseaudio-utils pv
python3.11 qemu-system-x86 qemu-utils qpdf quilt quota r-base-core rclone rcs rdiff-backup recode
redis-tools remind reprepro restic rkhunter rlwrap rpcbind rsync rsyslog ruby3.1 samba-common-bin
sane-utils screen sdparm sed sharutils skopeo slapd sleuthkit smartmontools smbclient socat sox
sqlite3 squashfs-tools squid-common strace stress-ng strongswan-starter stunnel4 subversion sudo
sysstat systemd systemd-container systemd-resolved tar tcl8.6-doc tcpdump tcsh telnet testdisk
texinfo texlive-base texlive-binaries tftp time tk8.6-doc tmux tor traceroute tree tripwire ttf2ufm
udev unbound units universal-ctags unzip util-linux uuid-runtime valgrind vim-common virtinst
vorbis-tools w3m weechat-curses wget whiptail whois wireguard-tools wireless-tools wmctrl wodim
wordnet wpasupplicant x11-apps x11-utils x11-xserver-utils xauth xclip xdotool xfsprogs xinit xmlto
xorriso xscreensaver xserver-xorg-core xsltproc xterm xz-utils zip zlib1g-dev zsh-common zstd
"""

# Packages with documentation in HTML: the paths that count. Copies of manual pages do not: some of
# those are held out.
DOCUMENTS = {
    "apache2-doc": r"manual/en/(?!programs/).*\.html",
    "aptitude-doc-en": r"\.html",
    "bash-doc": r"bashref\.html",
    "cmake-doc": r"html/(command|module|guide).*\.html",
    "debian-faq": r"FAQ/[^/]*\.en\.html",
    "debian-policy": r"policy\.html/.*\.html|menu-policy\.html/.*\.html",
    "debian-reference-en": r"\.en\.html",
    "developers-reference": r"developers-reference/[^/]*\.html",
    "exim4-doc-html": r"\.html",
    "fp-docs-3.2.2": r"(user|ref|prog)/.*\.html",
    "git-doc": r"user-manual\.html|howto/.*\.html",
    "gnu-standards": r"\.html",
    "haproxy-doc": r"\.html",
    "installation-guide-amd64": r"en/.*\.html",
    "libxml2-doc": r"/(?!xmllint|xmlcatalog)[^/]*\.html",
    "linux-doc-6.1": r"html/(?!translations).*\.html",
    "maint-guide": r"\.en\.html",
    "ntp-doc": r"\.html",
    "octave-doc": r"\.html",
    "postfix-doc": r"html/[A-Z].*\.html",
    "postgresql-doc-15": r"html/(?!sql-|app-).*\.html",
    "python3.11-doc": r"html/(?!genindex|whatsnew/changelog|_static).*\.html",
    "r-doc-html": r"manual/.*\.html",
    "rust-doc": r"html/(book|reference|rust-by-example|nomicon|cargo|edition-guide|rustdoc|rustc"
    r"|embedded-book)/(?!.*print\.html).*\.html",
    "sqlite3-doc": r"sqlite3/[^/]*\.html",
    "vim-doc": r"\.html",
}

OTHERS = "wordnet-base dict-gcide dict-foldoc dict-jargon dict-vera".split()


# ---- Packages ------------------------------------------------------------------------------------


def fetch(folder):
    """Downloads the packages and the descriptions of all packages by apt into the folder."""
    for name in ("lists/partial", "cache/archives/partial", "debs"):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    where = os.path.abspath(folder)
    settings = ["Dir::State::Lists=%s/lists" % where, "Dir::Cache=%s/cache" % where]
    settings += ["Acquire::Languages=en", "Acquire::GzipIndexes=false"]
    # A proxy that loses one of several requests in a row would have apt wait without an end.
    settings += ["Acquire::http::Pipeline-Depth=0", "Acquire::http::Timeout=20"]
    settings += ["Acquire::Retries=3"]
    if os.geteuid() == 0:
        settings.append("APT::Sandbox::User=root")
    apt = ["apt-get", "-q"] + [part for setting in settings for part in ("-o", setting)]
    subprocess.run(apt + ["update"], check=True)
    known = {
        name
        for path in lists(folder, "Packages")
        for name in re.findall(r"^Package: (\S+)", read(path), re.MULTILINE)
    }
    have = {name.split("_")[0] for name in os.listdir(os.path.join(folder, "debs"))}
    wanted = set(MANUALS.split()) | set(DOCUMENTS) | set(OTHERS)
    print("not in the archive:", " ".join(sorted(wanted - known)) or "none")
    missing = sorted((wanted & known) - have)
    if missing:
        subprocess.run(apt + ["download"] + missing, check=True, cwd=os.path.join(where, "debs"))


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def read_lines(path):
    """The values of a file of JSON lines."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def write_lines(path, values):
    """Writes JSON lines, whole or not at all."""
    with open(path + ".tmp", "w", encoding="utf-8") as file:
        for value in values:
            file.write(json.dumps(value, ensure_ascii=False) + "\n")
    os.replace(path + ".tmp", path)


def lists(folder, ending):
    """apt's files of that kind, in order."""
    where = os.path.join(folder, "lists")
    return [
        os.path.join(where, name) for name in sorted(os.listdir(where)) if name.endswith(ending)
    ]


def packages(folder):
    """{package: path of its file}, in order."""
    where = os.path.join(folder, "debs")
    return {
        name.split("_")[0]: os.path.join(where, name)
        for name in sorted(os.listdir(where))
        if name.endswith(".deb")
    }


COPYRIGHT = re.compile(r"^\./usr/share/doc/[^/]*/copyright$")


def members(deb, pattern):
    """(path, bytes) of the package's plain files whose path has a match, unpacked, in order. None
    of a package that is None. Unpacking takes long, so the copyright file, if there is one, is left
    beside the package for licences()."""
    if deb is None:
        return
    wanted, terms = re.compile(pattern), b""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as process:
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            for member in archive:
                if member.isreg() and COPYRIGHT.search(member.name):
                    terms += archive.extractfile(member).read()
                elif member.isreg() and wanted.search(member.name):
                    yield unpacked(member.name, archive.extractfile(member).read())
    with open(deb + ".copyright", "wb") as file:
        file.write(terms)


def unpacked(name, data):
    """(name, bytes) of a file as it was before it was compressed."""
    if name.endswith((".gz", ".dz")):
        return name[:-3], gzip.decompress(data)
    if name.endswith(".bz2"):
        return name[:-4], bz2.decompress(data)
    return name, data


def licences(deb):
    """The names of licences in the package's copyright file, if it has the common form."""
    if not os.path.exists(deb + ".copyright"):  # nothing has been read from the package
        for _ in members(deb, "^$"):
            pass
    names = re.findall(r"^License: *(\S[^\n]*)", read(deb + ".copyright"), re.MULTILINE)
    return sorted({name.strip().strip(",;'\"") for name in names}) or ["see its copyright file"]


# ---- Manual pages --------------------------------------------------------------------------------

GROFF = [
    "groff",
    "-K",
    "utf8",
    "-t",
    "-mandoc",
    "-Tascii",
    "-P-cbou",
    "-rLL=1000n",
    "-rLT=1000n",
    "-rHY=0",
    "-dAD=l",
]


MARK = "@@page@@"
BATCH = 12  # pages a process renders: starting groff takes longer than rendering a page


def render(pages):
    """[(name, section, text)] of some manual pages' sources; a text is "" when groff failed."""
    source = b"".join(data + b"\n.br\n%s\n.br\n" % MARK.encode() for _, data in pages)
    try:
        done = subprocess.run(
            GROFF,
            input=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=120,
            check=False,
        )
        texts = re.split(r"\n *%s(?:\n|$)" % MARK, done.stdout.decode("ascii", "replace"))
    except subprocess.TimeoutExpired:
        texts = []
    if len(texts) != len(pages) + 1:  # one of them swallowed a mark
        if len(pages) > 1:
            return [page for one in pages for page in render([one])]
        texts = [""]
    named = [os.path.basename(path).rpartition(".") for path, _ in pages]
    return [(name, section[:1], text) for (name, _, section), text in zip(named, texts)]


def batches(items, size):
    """Lists of that many items."""
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def render_manuals(folder, workers):
    """Renders every page that is no alias and no redirection into pages.jsonl, once."""
    output, wanted = os.path.join(folder, "pages.jsonl"), MANUALS.split()
    if os.path.exists(output):
        return
    debs = [deb for package, deb in packages(folder).items() if package in wanted]
    with multiprocessing.Pool(workers) as pool:
        write_lines(
            output,
            (
                page
                for deb in debs
                for done in pool.imap(render, batches(manual_sources(deb), BATCH))
                for page in done
            ),
        )


def manual_sources(deb):
    """(path, bytes) of a package's manual pages that are no redirections."""
    for path, data in members(deb, r"^\./usr/share/man/man[1-8]/[^/]*$"):
        if not data.startswith(b".so "):
            yield path, data


def manual_pages(folder):
    """[name, section, text] of every page, rendered."""
    return read_lines(os.path.join(folder, "pages.jsonl"))


class Page:
    """A rendered page: sections of blocks. A block is (indent, text, follows): `follows` is true
    when no blank line stands before it."""

    def __init__(self, text):
        self.sections = []  # [heading, [block, ...]]
        blank = True
        for line in text.split("\n"):
            stripped = line.strip()
            if not stripped:
                blank = True
                continue
            indent = len(line) - len(line.lstrip())
            if indent == 0:
                self.sections.append([stripped, []])
            elif self.sections:
                blocks = self.sections[-1][1]
                if blocks and not blank and blocks[-1][0] == indent:
                    blocks[-1] = (indent, blocks[-1][1] + " " + stripped, blocks[-1][2])
                else:
                    blocks.append((indent, stripped, not blank))
            blank = False
        while self.sections and not self.sections[0][1]:
            del self.sections[0]  # the header, and the footer of a page that was rendered before
        while self.sections and not self.sections[-1][1]:
            del self.sections[-1]  # the footer
        self.names, self.summary = [], ""
        if self.sections and self.sections[0][0].upper() == "NAME" and self.sections[0][1]:
            names, dash, summary = re.sub(
                r"\s+--?\s+", "\0", self.sections[0][1][0][1], count=1
            ).partition("\0")
            if dash:
                self.names = [name.strip() for name in names.split(",")]
                self.summary = tidy(summary)

    def body(self):
        """The page's text without its NAME section, a block a line."""
        lines = []
        for heading, blocks in self.sections[1 if self.summary else 0 :]:
            lines += [heading] + [tidy(block[1]) for block in blocks]
        return "\n".join(lines)

    def paragraphs(self):
        """The blocks of prose, as texts, in order."""
        skip = (
            "NAME",
            "SYNOPSIS",
            "SEE ALSO",
            "AUTHOR",
            "AUTHORS",
            "COPYRIGHT",
            "COLOPHON",
            "LICENSE",
            "REPORTING BUGS",
            "AVAILABILITY",
            "LIBRARY",
        )
        return [
            tidy(text)
            for heading, blocks in self.sections
            if heading.upper() not in skip
            for _, text, _ in blocks
            if len(text) >= 40 and text.count(" ") >= 6
        ]

    def options(self):
        """(tag, description) of each tagged paragraph that describes an option or keyword."""
        for tag, description in self._tagged():
            if (
                len(tag) <= 60
                and len(description) >= 20
                and re.fullmatch(r"[\w\[\]./:=<>,|+@#% -]+", tag)
            ):
                yield tag, description

    def _tagged(self):
        for _, blocks in self.sections:
            for i, (indent, text, _) in enumerate(blocks):
                short = re.match(r"(\S(?:\S| (?! )){0,5}) {2,}(\S.*)", text)
                if short:
                    yield tidy(short.group(1)), tidy(short.group(2))
                elif i + 1 < len(blocks) and blocks[i + 1][2] and blocks[i + 1][0] > indent:
                    yield tidy(text), tidy(blocks[i + 1][1])


def tidy(text):
    """The text on one line, with single spaces."""
    return " ".join(text.split())


# ---- Descriptions --------------------------------------------------------------------------------


def descriptions(folder):
    """(package, short, [paragraph, ...]) of every package that apt's lists describe."""
    seen = set()
    for path in lists(folder, "Translation-en"):
        for stanza in read(path).split("\n\n"):
            package = re.search(r"^Package: (\S+)", stanza, re.MULTILINE)
            found = re.search(r"^Description-en: (.*)((?:\n .*)*)", stanza, re.MULTILINE)
            if package and found and package.group(1) not in seen:
                seen.add(package.group(1))
                paragraphs = [tidy(p) for p in re.split(r"\n \.", found.group(2))]
                yield package.group(1), tidy(found.group(1)), [p for p in paragraphs if p]


# ---- WordNet and dictionaries --------------------------------------------------------------------


def wordnet(folder):
    """([what synset() returns], {what used_senses() returns}) of all of WordNet."""
    synsets, used = [], set()
    for path, data in members(
        packages(folder).get("wordnet-base"), r"/wordnet/(data|index)\.(noun|verb|adj|adv)$"
    ):
        kind = path.rsplit(".", 1)[1]
        lines = [x for x in data.decode("latin-1").split("\n") if x and not x.startswith(" ")]
        if "/data." in path:
            synsets += (synset(kind, line) for line in lines)
        else:
            used.update(sense for line in lines for sense in used_senses(kind, line))
    return synsets, used


def synset(kind, line):
    """(identifier, words, gloss, examples) of a line of WordNet's data."""
    left, _, gloss = line.partition(" | ")
    fields = left.split()
    words = [
        re.sub(r"\(\w+\)$", "", fields[4 + 2 * i]).replace("_", " ")
        for i in range(int(fields[3], 16))
    ]
    examples = re.findall(r'"([^"]{10,})"', gloss)
    gloss = tidy(re.split(r'; *"', gloss)[0]).rstrip(";")
    return "%s.%s" % (kind, fields[0]), words, gloss, examples


def used_senses(kind, line):
    """(word, synset) of the senses of a word of WordNet's index that its tagged texts use: the
    first so many."""
    fields = line.split()
    senses, tagged = int(fields[2]), int(fields[int(fields[3]) + 5])
    word = fields[0].replace("_", " ")
    return [(word, "%s.%s" % (kind, offset)) for offset in fields[-senses:][:tagged]]


def dictionary(folder, name):
    """(word, entry) of a dictd dictionary."""
    files = {
        path.rsplit(".", 1)[1]: data
        for path, data in members(
            packages(folder).get("dict-" + name), r"/dictd/%s\.(index|dict\.dz)$" % name
        )
    }
    digits = {
        c: i
        for i, c in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    }

    def number(text):
        value = 0
        for c in text:
            value = value * 64 + digits[c]
        return value

    for line in files.get("index", b"").decode("utf-8", "replace").split("\n"):
        fields = line.split("\t")
        if len(fields) >= 3 and not fields[0].startswith("00"):
            start, size = number(fields[1]), number(fields[2])
            yield fields[0], files["dict"][start : start + size].decode("utf-8", "replace")


# ---- Documentation -------------------------------------------------------------------------------


class _Html(html.parser.HTMLParser):
    """Headings and paragraphs of a page: parts are (level, text), level 0 for a paragraph."""

    SKIP = {
        "script",
        "style",
        "pre",
        "nav",
        "table",
        "head",
        "title",
        "footer",
        "svg",
        "select",
        "button",
        "math",
    }
    BLOCK = {
        "p",
        "li",
        "dd",
        "dt",
        "div",
        "td",
        "blockquote",
        "section",
        "ul",
        "ol",
        "dl",
        "body",
        "main",
    }

    def __init__(self):
        super().__init__()
        self.parts, self.text, self.level, self.skipped = [], [], 0, 0

    def end(self):
        text = tidy("".join(self.text)).replace("\u00b6", "").strip()
        if text:
            self.parts.append((self.level, text))
        self.text = []

    def handle_starttag(self, tag, attrs):
        if tag in self.SKIP:
            self.skipped += 1
        elif re.fullmatch("h[1-6]", tag):
            self.end()
            self.level = int(tag[1])
        elif tag in self.BLOCK:
            self.end()
            self.level = self.level if tag == "div" else 0

    def handle_endtag(self, tag):
        if tag in self.SKIP:
            self.skipped = max(0, self.skipped - 1)
        elif tag in self.BLOCK or re.fullmatch("h[1-6]", tag):
            self.end()
            self.level = 0

    def handle_data(self, data):
        if not self.skipped:
            self.text.append(data)


def html_parts(data):
    """The headings and paragraphs of an HTML page, of Latin-1 where it is not UTF-8."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    parser = _Html()
    parser.feed(text)
    parser.close()
    parser.end()
    return parser.parts


def documents(folder):
    """(package, path, parts) of every page of documentation."""
    for package, deb in packages(folder).items():
        if package in DOCUMENTS:
            for path, data in members(deb, DOCUMENTS[package]):
                yield package, path, html_parts(data)

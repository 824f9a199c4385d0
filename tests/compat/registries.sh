# shellcheck shell=bash
# SPDX-License-Identifier: ISC
# Sourced by run-compat after services.sh: small registries in the site, one
# package each, for the package managers.
# shellcheck disable=SC2034,SC2154 # what the other files set and use

debian_registry() {
	mkdir -p "$T/deb/DEBIAN" "$site/apt" &&
		printf 'Package: compatpkg\nVersion: 1.0\nArchitecture: all\nMaintainer: test <test@example.org>\nDescription: test\n' \
			>"$T/deb/DEBIAN/control" &&
		dpkg-deb -b "$T/deb" "$site/apt/compatpkg_1.0_all.deb" >/dev/null &&
		(cd "$site/apt" && dpkg-scanpackages -m . 2>/dev/null >Packages) &&
		echo "deb [trusted=yes] http://compat.test/apt ./" >"$T/sources.list"
	mkdir -p "$T/apt/lists/partial" "$T/apt/cache/archives/partial"
	cat >"$T/apt.conf" <<END
Dir::Etc::sourcelist "$T/sources.list";
Dir::Etc::sourceparts "-";
Dir::State "$T/apt";
Dir::Cache "$T/apt/cache";
Dir::State::status "/var/lib/dpkg/status";
APT::Sandbox::User "root";
END
}

python_registry() {
	mkdir -p "$site/simple/compatpkg" &&
		"$python" -c 'import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    info = "compatpkg-1.0.dist-info/"
    wheel.writestr("compatpkg.py", "")
    wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: compatpkg\nVersion: 1.0\n")
    wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(info + "RECORD", "")
' "$site/simple/compatpkg/compatpkg-1.0-py3-none-any.whl" &&
		echo '<a href="compatpkg-1.0-py3-none-any.whl">compatpkg-1.0-py3-none-any.whl</a>' \
			>"$site/simple/compatpkg/index.html"
}

node_registry() {
	mkdir -p "$T/npm/package" && echo '{"name":"compatpkg","version":"1.0.0"}' >"$T/npm/package/package.json" &&
		tar -C "$T/npm" -czf "$site/compatpkg-1.0.0.tgz" package
	cat >"$site/npm.json" <<END
{"name":"compatpkg","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"compatpkg",
"version":"1.0.0","dist":{"tarball":"http://compat.test/compatpkg-1.0.0.tgz",
"shasum":"$(sha1sum <"$site/compatpkg-1.0.0.tgz" | cut -d' ' -f1)"}}}}
END
}

ruby_registry() {
	mkdir -p "$site/ruby/gems" "$T/gem" &&
		printf 'Gem::Specification.new { |s| s.name = "compatpkg"; s.version = "1.0"; s.summary = "t"; s.authors = ["t"] }\n' \
			>"$T/gem/compatpkg.gemspec" &&
		(cd "$T/gem" && gem build -q compatpkg.gemspec >/dev/null 2>&1 && cp ./*.gem "$site/ruby/gems") &&
		gem generate_index -q -d "$site/ruby" >/dev/null 2>&1
}

go_registry() {
	local versions=$site/go/example.org/compat/@v
	mkdir -p "$versions" "$T/go/example.org/compat@v1.0.0" &&
		printf 'module example.org/compat\n' | tee "$versions/v1.0.0.mod" >"$T/go/example.org/compat@v1.0.0/go.mod" &&
		echo v1.0.0 >"$versions/list" && echo '{"Version":"v1.0.0"}' >"$versions/v1.0.0.info" &&
		"$python" -c 'import os, sys, zipfile
os.chdir(sys.argv[2])
with zipfile.ZipFile(sys.argv[1], "w") as module:
    module.write("example.org/compat@v1.0.0/go.mod")' "$versions/v1.0.0.zip" "$T/go"
}

keyserver() {
	local home=$T/keys
	mkdir -m 700 "$home" &&
		gpg -q --homedir "$home" --batch --passphrase '' --quick-gen-key compat@example.org ed25519 2>/dev/null &&
		gpg -q --homedir "$home" --armor --export >"$site/key.asc" &&
		key=$(gpg -q --homedir "$home" --with-colons -K 2>/dev/null | awk -F: '$1 == "fpr" { print $10; exit }') &&
		gpgconf --homedir "$home" --kill all
}

for registry in debian_registry python_registry node_registry ruby_registry go_registry keyserver; do
	$registry || fail "$registry"
done

# SPDX-License-Identifier: LGPL-2.1-or-later
# A process of a test guest: a heap whose checksum it tells when it is asked. As heap.py.
use strict;
use warnings;
use Digest::SHA qw(sha512 sha1_hex);
use IO::Handle;

STDOUT->autoflush(1);
my ($seed, $kib) = @ARGV;
my %rows;

sub make
{
	my ($number, $generation) = @_;

	return join '', map { sha512("$seed $number $generation $_") } 0 .. 7;
}

my $count = $kib * 2;
$rows{"row $_"} = make($_, 0) for 0 .. $count - 1;
while (1) {
	my $ready = '';
	vec($ready, fileno(STDIN), 1) = 1;
	next unless select $ready, undef, undef, 5;
	my $line = readline(STDIN) // last;
	if ($line =~ /^work (\d+)/) {
		for (my $n = 0; $n < $count; $n += 2) {
			$rows{"row $n"} = make($n, $1);
		}
	}
	print substr(sha1_hex(map { "row $_" . $rows{"row $_"} } 0 .. $count - 1), 0, 16), "\n";
}

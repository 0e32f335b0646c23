#!/usr/bin/perl
# Perl's Authen::SASL as a client or a server of the line protocol, for `saslsspi conformance exec`:
#
#   saslsspi conformance exec --side client --user alice -- perl authen_sasl.pl client {mechanism} {service} {host} {user}
#   saslsspi conformance exec --side server --user alice -- perl authen_sasl.pl server {mechanism} {service} {host} {user}

use strict;
use warnings;
use Authen::SASL qw(Perl);
use MIME::Base64 qw(decode_base64 encode_base64);

my ($side, $mechanism, $service, $host, $user) = @ARGV;
my $password = $ENV{SASLSSPI_PASSWORD};
$| = 1;

sub coded { my ($token) = @_; defined $token ? (encode_base64($token, '') || '=') : '-' }

sub say_next {
    my ($conn, $token) = @_;
    if ($conn->error) {
        my $text = $conn->error;
        $text =~ s/\s+/ /g;
        print "fail - $text\n";
        exit 1;
    }
    # is_success is asked before need_step: a mechanism without steps says neither.
    my $word = $conn->is_success ? 'done' : $conn->need_step ? 'more' : $side eq 'client' ? 'done' : 'fail';
    print "$word ", coded($token), "\n";
    exit 1 if $word eq 'fail';
    return $word eq 'done';
}

my $sasl = Authen::SASL->new(
    mechanism => $mechanism,
    callback  => $side eq 'client'
    ? { user => $user, pass => $password }
    : {
        getsecret => sub { my ($self, $asked, $answer) = @_; $answer->($asked->{user} eq $user ? $password : undef) },
        checkpass => sub { my ($self, $asked, $answer) = @_;
                           $answer->($asked->{user} eq $user && $asked->{pass} eq $password) },
    },
);

my $done = 0;
my $conn;
if ($side eq 'client') {
    $conn = $sasl->client_new($service, $host);
    $conn->property(maxssf => 0);    # this driver has no layer
    my $first = $conn->client_start;
    # DIGEST-MD5 begins with nothing at all, and not with an empty message.
    $done = say_next($conn, defined $first && length $first ? $first : undef);
}
while (my $line = <STDIN>) {
    chomp $line;
    last if $line eq 'quit';
    if ($done || $line =~ / /) { print "fail - this driver has no layer\n"; exit 1 }
    my $token = $line eq '-' ? undef : $line eq '=' ? '' : decode_base64($line);
    if ($side eq 'client') {
        $done = say_next($conn, $conn->client_step($token));
    }
    else {
        my $answer;
        my $keep = sub { $answer = $_[0] };
        if (!$conn) {
            $conn = $sasl->server_new($service, $host, { no_integrity => 1 });    # no layer here either
            $conn->server_start($token, $keep);
        }
        else { $conn->server_step($token, $keep);
        }
        $done = say_next($conn, $answer);
    }
}
exit($done ? 0 : 1);

# An SMSC on Perl's Net::SMPP: an implementation that shares nothing with ours. It prints its port and serves each session
# in a process of its own until its input ends. How it behaves is what comes before the @ of the system_id: bind-13 refuses
# the bind with command_status 13, submit-mute does not answer a submit; nothing there is a healthy one.
use strict;
use warnings;
use IO::Socket::INET;
use IO::Select;
use Net::SMPP;

$| = 1;
$SIG{PIPE} = 'IGNORE'; # a client that has gone ends its own session
$SIG{CHLD} = 'IGNORE';
my $listener = Net::SMPP->new_listen('127.0.0.1', port => 0) or die "listen: $!";
print $listener->sockport, "\n";
my $messages = 0;
my $waiting = IO::Select->new($listener, \*STDIN);
while (1) {
    my @ready = $waiting->can_read;
    exit 0 if grep { $_ == \*STDIN } @ready;
    my $peer = $listener->accept or next;
    next if fork; # the child serves it
    serve($peer);
    exit 0;
}

sub serve {
    my ($smpp) = @_;
    my $way = '';
    while (my $pdu = $smpp->read_pdu) {
        if ($pdu->{cmd} == Net::SMPP::CMD_bind_transmitter || $pdu->{cmd} == Net::SMPP::CMD_bind_transceiver) {
            my $account = $pdu->{system_id};
            ($way, $account) = split /@/, $account if $account =~ /@/;
            next if $way eq 'bind-mute';
            my $status = $way =~ /^bind-(\d+)$/ ? $1 : $account ne 'prober' || $pdu->{password} ne 'secret' ? 0x0e : 0;
            my %answer = (seq => $pdu->{seq}, status => $status, system_id => 'perl');
            $pdu->{cmd} == Net::SMPP::CMD_bind_transmitter ? $smpp->bind_transmitter_resp(%answer) : $smpp->bind_transceiver_resp(%answer);
        } elsif ($pdu->{cmd} == Net::SMPP::CMD_enquire_link) {
            last if $way eq 'restarts';
            $smpp->enquire_link_resp(seq => $pdu->{seq}) unless $way eq 'enquire-mute';
        } elsif ($pdu->{cmd} == Net::SMPP::CMD_unbind) {
            $smpp->unbind_resp(seq => $pdu->{seq});
            last;
        } elsif ($pdu->{cmd} == Net::SMPP::CMD_submit_sm) {
            next if $way eq 'submit-mute';
            if ($way =~ /^submit-(\d+)$/) {
                $smpp->submit_sm_resp(seq => $pdu->{seq}, status => $1, message_id => '');
                next;
            }
            my $id = sprintf 'perl-%d', ++$messages;
            $smpp->submit_sm_resp(seq => $pdu->{seq}, message_id => $id);
            next if $way eq 'receipt-none';
            sleep 2 if $way eq 'receipt-late';
            my %to = (esm_class => 4, source_addr => $pdu->{destination_addr}, destination_addr => $pdu->{source_addr}, async => 1);
            if ($way eq 'receipt-data') {
                $smpp->data_sm(%to, receipted_message_id => $id, message_state => "\x02");
                next;
            }
            my ($stat, $err) = $way eq 'receipt-fail' ? ('UNDELIV', '011') : ('DELIVRD', '000');
            $smpp->deliver_sm(%to, short_message => "id:$id sub:001 dlvrd:001 submit date:2611250900 done date:2611250900 stat:$stat err:$err Text:x");
        }
    }
    close $smpp;
}

# An SMSC on Perl's Net::SMPP: an implementation that shares nothing with ours. It prints its port and serves one session after
# the other until its input ends. The number 0 is refused; a text with "fail" fails; a text with "lost" gets no receipt.
use strict;
use warnings;
use IO::Socket::INET;
use IO::Select;
use Net::SMPP;

$| = 1;
my $listener = Net::SMPP->new_listen('127.0.0.1', port => 0) or die "listen: $!";
print $listener->sockport, "\n";
my $messages = 0;
my $waiting = IO::Select->new($listener, \*STDIN);
while (1) {
    my @ready = $waiting->can_read;
    exit 0 if grep { $_ == \*STDIN } @ready;
    my $peer = $listener->accept or next;
    serve($peer);
}

sub serve {
    my ($smpp) = @_;
    while (my $pdu = $smpp->read_pdu) {
        if ($pdu->{cmd} == Net::SMPP::CMD_bind_transmitter || $pdu->{cmd} == Net::SMPP::CMD_bind_transceiver) {
            my $refused = $pdu->{system_id} ne 'prober' || $pdu->{password} ne 'secret';
            my %answer = (seq => $pdu->{seq}, status => $refused ? 0x0e : 0, system_id => 'perl');
            $pdu->{cmd} == Net::SMPP::CMD_bind_transmitter ? $smpp->bind_transmitter_resp(%answer) : $smpp->bind_transceiver_resp(%answer);
        } elsif ($pdu->{cmd} == Net::SMPP::CMD_enquire_link) {
            $smpp->enquire_link_resp(seq => $pdu->{seq});
        } elsif ($pdu->{cmd} == Net::SMPP::CMD_unbind) {
            $smpp->unbind_resp(seq => $pdu->{seq});
            last;
        } elsif ($pdu->{cmd} == Net::SMPP::CMD_submit_sm) {
            if ($pdu->{destination_addr} =~ /999$/) {
                $smpp->submit_sm_resp(seq => $pdu->{seq}, status => 0x0b, message_id => '');
                next;
            }
            my $id = sprintf 'perl-%d', ++$messages;
            $smpp->submit_sm_resp(seq => $pdu->{seq}, message_id => $id);
            next if $pdu->{short_message} =~ /lost/;
            my $stat = $pdu->{short_message} =~ /fail/ ? 'UNDELIV' : 'DELIVRD';
            $smpp->deliver_sm(esm_class => 4, source_addr => $pdu->{destination_addr}, destination_addr => $pdu->{source_addr}, async => 1,
                short_message => "id:$id sub:001 dlvrd:001 submit date:2611250900 done date:2611250900 stat:$stat err:000 Text:x");
        }
    }
    close $smpp;
}

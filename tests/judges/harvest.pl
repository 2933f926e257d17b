# What a Perl client harvests: one JSON object a line.
# perl harvest.pl (http-oai | catmandu) URL VERB [NAME VALUE]...
# Of a record: identifier, datestamp, status, sets, metadata; of other verbs what the client has of them.
use strict;
use warnings;
use JSON::PP;

my ($client, $url, $verb, %arguments) = @ARGV;
my $json = JSON::PP->new->utf8->canonical;
binmode STDOUT;

sub told { print $json->encode($_[0]), "\n" }

if ($client eq 'http-oai') {
    require HTTP::OAI;
    my $harvester = HTTP::OAI::Harvester->new(baseURL => $url);
    # Of a list in pages this client's next() gives the last one only; onRecord gives them all.
    my $listed = $verb =~ /^List(?:Records|Sets)$/;
    my $answer = $harvester->$verb(%arguments, $listed ? (onRecord => \&one) : ());
    die $answer->message if $answer->is_error;
    if ($verb eq 'Identify') {
        told({
            name => $answer->repositoryName, base_url => $answer->baseURL, emails => [$answer->adminEmail],
            deleted => $answer->deletedRecord, granularity => $answer->granularity,
            earliest => $answer->earliestDatestamp,
        });
    }
    if ($verb eq 'ListMetadataFormats') {
        while (my $one = $answer->next) {
            told({prefix => $one->metadataPrefix, schema => $one->schema, namespace => $one->metadataNamespace});
        }
    }
} else {
    require Catmandu;
    my %verbs = map { $_ => lcfirst($_) } qw(Identify ListSets ListMetadataFormats ListRecords);
    my $importer = Catmandu->importer('OAI', url => $url, $verbs{$verb} => 1, handler => 'raw', %arguments);
    $importer->each(sub {
        my $one = shift;
        if ($verb eq 'Identify') {
            told({
                name => $one->{repositoryName}, base_url => $one->{baseURL}, emails => [$one->{adminEmail}],
                deleted => $one->{deletedRecord}, granularity => $one->{granularity},
                earliest => $one->{earliestDatestamp},
            });
        } elsif ($verb eq 'ListMetadataFormats') {
            told({prefix => $one->{metadataPrefix}, schema => $one->{schema}, namespace => $one->{metadataNamespace}});
        } elsif ($verb eq 'ListSets') {
            told({spec => $one->{setSpec}, name => $one->{setName}});
        } else {
            told({
                identifier => $one->{_identifier}, datestamp => $one->{_datestamp}, status => $one->{_status},
                sets => $one->{_setSpec}, metadata => $one->{_metadata},
            });
        }
    });
}

# What HTTP::OAI has of a set or a record.
sub one {
    my $one = shift;
    return told({spec => $one->setSpec, name => $one->setName}) if $verb eq 'ListSets';
    my $header = $one->header;
    my $metadata = $one->metadata && inside($one->metadata->dom);
    told({
        identifier => $header->identifier, datestamp => $header->datestamp, status => $header->status // '',
        sets => [$header->setSpec], metadata => $metadata && $metadata->toString,
    });
}

# The element within <metadata>, wherever this client keeps it.
sub inside {
    my $node = shift;
    while (defined $node) {
        return $node if $node->nodeType == 1 && $node->nodeName !~ /^(?:\w+:)?metadata$/;
        ($node) = grep { $_->nodeType == 1 } $node->childNodes;
    }
    return undef;
}

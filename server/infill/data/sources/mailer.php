<?php

namespace App\Mail;

/** Sends messages (one by one). */
final class Mailer
{
    private array $sent = [];

    public function __construct(private string $from, private ?Transport $transport = null)
    {
        $this->transport = $transport ?? new Transport(['host' => 'localhost', 'port' => 25]);
    }

    public function send(string $to, string $subject, array $values = []): bool
    {
        if (!preg_match('/^[^@\s]+@[^@\s]+$/', $to)) {
            throw new \InvalidArgumentException("no address: {$to}");
        }
        $body = $this->render($subject, $values);
        $this->sent[] = ['to' => $to, 'body' => $body];
        return $this->transport->deliver($this->from, $to, $body);
    }

    private function render(string $template, array $values): string
    {
        // names in braces (such as {name}) are replaced
        foreach ($values as $name => $value) {
            $template = str_replace('{' . $name . '}', htmlspecialchars($value), $template);
        }
        return trim($template) . "\n";
    }

    public function count(): int
    {
        return count(array_filter($this->sent, fn ($one) => $one['to'] !== ''));
    }
}

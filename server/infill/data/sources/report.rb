# frozen_string_literal: true

require "json"

module Report
  # A line of a report (name and value).
  Line = Struct.new(:name, :value) do
    def to_s
      "#{name.ljust(12)} #{format('%8.2f', value)}"
    end
  end

  class Table
    attr_reader :lines

    def initialize(title, lines = [])
      @title = title
      @lines = lines
    end

    def <<(line)
      @lines << line
      self
    end

    def self.parse(text)
      table = new("parsed")
      text.each_line do |row|
        next unless row =~ /\A(\w+)\s*[:=]\s*(\d+(?:\.\d+)?)/

        table << Line.new($1, $2.to_f)
      end
      table
    end

    def total
      lines.sum { |line| line.value }
    end

    def to_json(*args)
      { title: @title, lines: lines.map { |line| [line.name, line.value] }.to_h }.to_json(*args)
    end

    def render(width: 40)
      puts "=" * width
      lines.each { |line| puts "| #{line} |" }
      puts "total: #{total.round(2)} (#{lines.size} lines)"
    end
  end
end
